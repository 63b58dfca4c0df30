//! A report as text for people.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::report::{DatasetReport, EvalReport, WeightsReport};
use super::score::{Classification, Protocol, RecallAtK, RetrievalFigures};
use super::source::NetworkPart;

/// How many files the text names before it says "and N more"; the JSON names all.
const NAMED_FILES: usize = 8;

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.weights)?;
        let used = self.dataset.videos_used;
        write!(f, "Videos: {}, ", self.dataset.root.display())?;
        match used.whole {
            0 => write!(f, "{} train and {} test", used.train, used.test)?,
            whole => write!(f, "{whole}")?,
        }
        writeln!(
            f,
            " in {} classes, {} clips",
            self.dataset.classes.len(),
            self.dataset.clips
        )?;
        if let Some(figures) = &self.retrieval {
            writeln!(f, "{}", retrieval_table(figures, &self.dataset.classes))?;
        }
        if let Some(figures) = &self.knn {
            let what = "nearest neighbours";
            writeln!(
                f,
                "{}",
                accuracy_table(what, &figures.classification, &self.dataset.classes)
            )?;
            writeln!(f, "{} neighbours vote", figures.neighbours)?;
        }
        if let Some(figures) = &self.probe {
            writeln!(
                f,
                "{}",
                accuracy_table("linear probe", &figures.classification, &self.dataset.classes)
            )?;
            let penalties: Vec<String> = figures.penalties.iter().map(f64::to_string).collect();
            writeln!(
                f,
                "penalty on weights, chosen on train videos: {}",
                penalties.join(", ")
            )?;
        }
        if let Some(figures) = &self.finetune {
            writeln!(
                f,
                "{}",
                accuracy_table("fine-tuned", &figures.classification, &self.dataset.classes)
            )?;
            if let (Some(first), Some(last)) = (figures.epochs.first(), figures.epochs.last()) {
                writeln!(
                    f,
                    "{} epochs; on train clips, loss {:.3} at first and {:.3} at last, accuracy {} and {}",
                    figures.epochs.len(),
                    first.loss,
                    last.loss,
                    percent(first.accuracy),
                    percent(last.accuracy)
                )?;
            }
        }
        if let Some(classification) = self.classification() {
            write_accuracy_notes(f, classification)?;
        }
        self.dataset.fmt_notes(f, self.settings.clips_per_video)
    }
}

impl fmt::Display for WeightsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(baseline) = self.baseline {
            write!(f, "Baseline: {} (preset {})", baseline.name(), self.preset)?;
            return match self.seed {
                Some(seed) => write!(f, ", seed {seed}"),
                None => Ok(()),
            };
        }
        match &self.checkpoint {
            Some(folder) => write!(
                f,
                "Weights: {} (step {}, preset {})",
                folder.display(),
                self.step,
                self.preset
            )?,
            None => write!(
                f,
                "Weights: random, untrained (preset {}, seed {})",
                self.preset,
                self.seed.unwrap_or_default()
            )?,
        }
        match self.network {
            Some(NetworkPart::I) => f.write_str(", I-Network"),
            Some(NetworkPart::M) => f.write_str(", M-Network"),
            Some(NetworkPart::V) | None => Ok(()),
        }
    }
}

impl DatasetReport {
    /// A line for everything that was left out or bent.
    fn fmt_notes(&self, f: &mut fmt::Formatter<'_>, clips_per_video: u32) -> fmt::Result {
        if let Some(facts) = &self.annotations {
            let column = facts
                .label
                .as_ref()
                .map(|label| format!(", label {label}"))
                .unwrap_or_default();
            writeln!(
                f,
                "{}{column}: {} videos listed for use, {} lines left out, {} video files not listed",
                facts.format, facts.listed, facts.left_out, facts.unlisted
            )?;
        }
        if let Some(groups) = self.groups.filter(|_| self.videos_used.whole > 0) {
            writeln!(
                f,
                "{groups} groups; videos of one group are never set against each other"
            )?;
        }
        let missing = self.missing.iter().map(|v| format!("{} ({})", v.video, v.reason));
        write_note(f, "are listed but not there and are left out", missing)?;
        let skipped = self.skipped.iter().map(|v| format!("{} ({})", v.video, v.reason));
        write_note(f, "could not be decoded and are left out", skipped)?;
        let short = self
            .short
            .iter()
            .map(|v| format!("{} (lacks {} frames)", v.video, v.missing_frames));
        write_note(
            f,
            "are shorter than a clip; their last picture is repeated",
            short,
        )?;
        if self.fewer_clips > 0 {
            writeln!(
                f,
                "{} videos are too short for {clips_per_video} different clips and give fewer",
                self.fewer_clips
            )?;
        }
        let unseen = self.classes_without_train.iter().cloned();
        write_note(f, "(classes) have no train video and can never be found", unseen)?;
        for unused in &self.unused {
            writeln!(f, "{}/ is not used: {} videos", unused.folder, unused.videos)?;
        }
        let others = self.other_files.iter().cloned();
        write_note(
            f,
            "(files) are in no class folder or no videos by their names",
            others,
        )
    }
}

fn write_note(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    names: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let count = names.len();
    if count == 0 {
        return Ok(());
    }
    let named: Vec<String> = names.take(NAMED_FILES).collect();
    write!(f, "{count} {what}: {}", named.join(", "))?;
    match count - named.len() {
        0 => writeln!(f),
        more => writeln!(f, ", and {more} more (all in --json)"),
    }
}

fn percent(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}

/// An empty table whose first column is text and whose other columns are numbers.
fn table(header: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn retrieval_table(figures: &RetrievalFigures, classes: &[String]) -> Table {
    let mut header = vec![
        match figures.protocol {
            Protocol::TrainTest => "retrieval, test in train (%)".to_string(),
            Protocol::LeaveOneOut | Protocol::Folds => "retrieval, leave one out (%)".to_string(),
        },
        "queries".to_string(),
        "gallery".to_string(),
    ];
    header.extend(figures.recall_at.iter().map(|at| format!("R@{}", at.k)));
    let mut table = table(&header);
    let mut row = |name: &str, counts: [usize; 2], cells: &[RecallAtK], pick: fn(&RecallAtK) -> f64| {
        let mut row = vec![name.to_string()];
        row.extend(counts.map(|count| count.to_string()));
        row.extend(cells.iter().map(|at| percent(pick(at))));
        table.add_row(row);
    };
    let counts = [figures.queries, figures.gallery];
    row("all", counts, &figures.recall_at, |at| at.recall);
    row("by chance", counts, &figures.recall_at, |at| at.chance);
    for class in &figures.per_class {
        let counts = [class.queries, class.gallery];
        row(&classes[class.class], counts, &class.recall_at, |at| at.recall);
    }
    table
}

fn accuracy_table(what: &str, figures: &Classification, classes: &[String]) -> Table {
    let title = match figures.protocol {
        Protocol::TrainTest => format!("{what}, test by train (%)"),
        Protocol::Folds | Protocol::LeaveOneOut => {
            format!("{what}, {} folds (%)", figures.fold_accuracy.len())
        }
    };
    let mut table = table(&[title, "videos".into(), "accuracy".into()]);
    let videos = figures.queries.to_string();
    table.add_row(["all", &videos, &percent(figures.accuracy)]);
    table.add_row(["by chance", &videos, &percent(figures.chance)]);
    for class in &figures.per_class {
        table.add_row([
            &classes[class.class],
            &class.queries.to_string(),
            &percent(class.accuracy),
        ]);
    }
    table
}

fn write_accuracy_notes(f: &mut fmt::Formatter<'_>, figures: &Classification) -> fmt::Result {
    let (low, high) = figures.accuracy_interval_95;
    writeln!(
        f,
        "accuracy's 95 % interval {} to {}; mean over classes {}",
        percent(low),
        percent(high),
        percent(figures.balanced_accuracy)
    )?;
    if !figures.fold_accuracy.is_empty() {
        let folds: Vec<String> = figures.fold_accuracy.iter().map(|&part| percent(part)).collect();
        writeln!(f, "fold by fold: {}", folds.join(", "))?;
    }
    Ok(())
}
