use maud::{Markup, html};

use super::super::score::{Classification, RecallAtK, RetrievalFigures};
use super::percent;

/// A cell with a bar behind its number.
fn barred(part: f64) -> Markup {
    html! {
        td class="bar" style={ "--part:" (format!("{:.1}", 100.0 * part)) "%" } { span { (percent(part)) } }
    }
}

fn recall_cells(cells: &[RecallAtK], pick: fn(&RecallAtK) -> f64) -> Markup {
    html! { @for at in cells { (barred(pick(at))) } }
}

pub fn recall(figures: &RetrievalFigures) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead { tr { th scope="col" { "" } @for at in &figures.recall_at { th scope="col" { "R@" (at.k) } } } }
                tbody {
                    tr { th scope="row" { "recall" } (recall_cells(&figures.recall_at, |at| at.recall)) }
                    tr { th scope="row" { "by chance" } (recall_cells(&figures.recall_at, |at| at.chance)) }
                }
            }
        }
    }
}

pub fn recall_by_class(figures: &RetrievalFigures, classes: &[String]) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead {
                    tr {
                        th scope="col" { "class" }
                        th scope="col" { "asked" }
                        th scope="col" { "to be found" }
                        @for at in &figures.recall_at { th scope="col" { "R@" (at.k) } }
                    }
                }
                tbody {
                    @for class in &figures.per_class {
                        tr {
                            th scope="row" { (classes[class.class]) }
                            td { (class.queries) }
                            td { (class.gallery) }
                            (recall_cells(&class.recall_at, |at| at.recall))
                        }
                    }
                }
            }
        }
    }
}

pub fn accuracy(figures: &Classification) -> Markup {
    let (low, high) = figures.accuracy_interval_95;
    html! {
        div class="scroll" {
            table {
                tbody {
                    tr { th scope="row" { "accuracy" } (barred(figures.accuracy)) td { (percent(low)) " to " (percent(high)) ", 95 %" } }
                    tr { th scope="row" { "mean over classes" } (barred(figures.balanced_accuracy)) td {} }
                    tr { th scope="row" { "by chance" } (barred(figures.chance)) td { "always the commonest class" } }
                    @for (fold, &part) in figures.fold_accuracy.iter().enumerate() {
                        tr { th scope="row" { "fold " (fold + 1) } (barred(part)) td {} }
                    }
                }
            }
        }
    }
}

pub fn accuracy_by_class(figures: &Classification, classes: &[String]) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead { tr { th scope="col" { "class" } th scope="col" { "videos" } th scope="col" { "accuracy" } } }
                tbody {
                    @for class in &figures.per_class {
                        tr {
                            th scope="row" { (classes[class.class]) }
                            td { (class.queries) }
                            (barred(class.accuracy))
                        }
                    }
                }
            }
        }
    }
}

pub fn confusion(figures: &Classification, classes: &[String]) -> Markup {
    html! {
        div class="scroll" {
            table class="confusion" {
                thead {
                    tr {
                        td {}
                        @for class in classes { th scope="col" { span { (class) } } }
                    }
                }
                tbody {
                    @for (row, counts) in figures.confusion.iter().enumerate() {
                        @let all = counts.iter().sum::<usize>().max(1);
                        tr {
                            th scope="row" { (classes[row]) }
                            @for (column, &count) in counts.iter().enumerate() {
                                @let share = count as f64 / all as f64;
                                td class=[(row == column).then_some("hit")] data-strong[share > 0.55]
                                    style={ "--share:" (format!("{:.0}", 100.0 * share)) "%" }
                                    title={ (classes[row]) " taken for " (classes[column]) } {
                                    @if count > 0 { (count) } @else { span class="nothing" { "·" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
