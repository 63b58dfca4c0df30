use super::{Exposition, table};
use crate::ingest::StreamName;
use crate::window::{ChooserStats, ScoutSnapshot};

/// Writes what a stream's scout has seen and done.
pub fn collect_scout(page: &mut Exposition, stream: &StreamName, scout: &ScoutSnapshot) {
    let name = stream.as_str();
    let times = [
        (&table::STREAM_LAST_UNIT, scout.last_unit_unix_ns),
        (&table::STREAM_LAST_KEY_FRAME, scout.last_key_frame_unix_ns),
    ];
    for (metric, unix_ns) in times {
        page.put(metric, &[name], unix_ns.unwrap_or(0) as f64 / 1e9);
    }
    page.put(&table::WINDOWS_IN_FLIGHT, &[name], scout.in_flight as f64);
    page.put(
        &table::WINDOWS_LOST,
        &[name, "decoders_busy"],
        scout.decoders_busy as f64,
    );
    page.put(
        &table::WINDOWS_LOST,
        &[name, "plan_failed"],
        scout.plans_failed as f64,
    );
    page.put(&table::SAMPLES_MADE, &[name], scout.samples as f64);
    for (kind, count) in &scout.errors {
        page.put(&table::SCOUT_ERRORS, &[name, kind], *count as f64);
    }
    collect_chooser(page, stream, &scout.chooser);
}

fn collect_chooser(page: &mut Exposition, stream: &StreamName, chooser: &ChooserStats) {
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
