use super::{Exposition, table};
use crate::ingest::StreamName;
use crate::window::ChooserStats;

/// Writes what a stream's chooser has seen and done.
pub fn collect_chooser(page: &mut Exposition, stream: &StreamName, chooser: &ChooserStats) {
    let stream = stream.as_str();
    let pictures = [
        ("I", chooser.i_pictures),
        ("P", chooser.p_pictures),
        ("B", chooser.b_pictures),
    ];
    for (kind, count) in pictures {
        page.put(&table::PICTURES, &[stream, kind], count as f64);
    }
    page.put(
        &table::PICTURES_OUT_OF_ORDER,
        &[stream],
        chooser.out_of_order as f64,
    );
    page.put(&table::LONG_GOPS, &[stream], chooser.long_gops as f64);
    page.put(&table::SHORT_VIDEOS, &[stream], chooser.short_videos as f64);
    page.put(&table::WINDOWS, &[stream, "chosen"], chooser.windows as f64);
    page.put(&table::WINDOWS, &[stream, "shed"], chooser.shed_windows as f64);
    page.put(&table::STILL_WINDOWS, &[stream], chooser.still_windows as f64);
    page.put(&table::WINDOW_PICTURES, &[stream], chooser.held_pictures as f64);
    page.put(&table::WINDOW_BYTES, &[stream], chooser.held_bytes as f64);
}
