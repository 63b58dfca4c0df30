use std::{num::NonZeroUsize, sync::mpsc};

use bytes::Bytes;

use super::*;
use crate::{
    decode::FeedUnit,
    ingest::{AccessUnit, ByteBudget, Ledger, StreamName, VideoFormat},
    window::FrameSize,
};

const SIZE: FrameSize = FrameSize { width: 1, height: 1 };

fn job(rank: u32) -> DecodeJob {
    let format = Arc::new(VideoFormat {
        caps: "video/x-h264".to_owned(),
        place: "film.mp4".to_owned(),
        width: 1,
        height: 1,
        frame_rate: (0, 1),
        file: None,
    });
    let unit = AccessUnit {
        data: Bytes::new(),
        segment: 0,
        index: 7,
        pts_ns: None,
        dts_ns: None,
        arrival_unix_ns: 0,
        key_unit: true,
        format: format.clone(),
        credit: ByteBudget::new(1).try_acquire(0).unwrap(),
        receipt: Ledger::new().receive(0),
    };
    DecodeJob {
        stream: StreamName::new("door").unwrap(),
        format,
        feed: vec![FeedUnit {
            unit: Arc::new(unit),
            display_rank: rank,
        }],
        wanted: vec![rank],
        size: SIZE,
    }
}

/// Gives black pictures; waits for the gate when it is to hang.
struct Scripted {
    hang_on: u32,
    gate: Arc<std::sync::Mutex<()>>,
}

impl Decode for Scripted {
    fn decode(&mut self, job: &DecodeJob) -> Outcome {
        let rank = job.wanted[0];
        if rank == self.hang_on {
            drop(self.gate.lock());
        }
        Ok(Decoded {
            pictures: vec![RgbPicture {
                display_rank: rank,
                pixels: vec![0; 3],
            }],
            decoded: 1,
        })
    }
}

fn config(deadline: Duration) -> DecodeConfig {
    DecodeConfig {
        threads: NonZeroUsize::MIN,
        deadline,
        ..DecodeConfig::default()
    }
}

#[test]
fn a_decoder_that_hangs_costs_its_job_and_is_replaced() {
    let gate = Arc::new(std::sync::Mutex::new(()));
    let shut = gate.lock().unwrap();
    let make = {
        let gate = gate.clone();
        move || {
            Ok(Scripted {
                hang_on: 1,
                gate: gate.clone(),
            })
        }
    };
    let pool = DecodePool::with_decoders(&config(Duration::from_millis(300)), make);
    let (told, outcomes) = mpsc::channel();
    for rank in [0, 1, 2] {
        let told = told.clone();
        pool.queue().submit(
            job(rank),
            Box::new(move |outcome| told.send((rank, outcome)).unwrap()),
        );
    }
    assert_eq!(outcomes.recv().unwrap().1.unwrap()[0].display_rank, 0);
    let (rank, hung) = outcomes.recv().unwrap();
    let hung = hung.unwrap_err();
    assert!(
        rank == 1 && matches!(hung, DecodeError::Hung { first_unit: 7, .. }),
        "{hung}"
    );
    assert_eq!(outcomes.recv().unwrap().1.unwrap()[0].display_rank, 2);
    drop(shut);
    let figures = pool.snapshot();
    assert_eq!(
        (figures.jobs_done, figures.jobs_failed, figures.abandoned),
        (2, 1, 1)
    );
    pool.close();
}

#[test]
fn a_full_queue_hands_the_job_back_and_closing_answers_what_waits() {
    let gate = Arc::new(std::sync::Mutex::new(()));
    let shut = gate.lock().unwrap();
    let make = {
        let gate = gate.clone();
        move || {
            Ok(Scripted {
                hang_on: 1,
                gate: gate.clone(),
            })
        }
    };
    let pool = DecodePool::with_decoders(&config(Duration::from_secs(600)), make);
    let (told, outcomes) = mpsc::channel();
    let reply = || -> DecodeReply {
        let told = told.clone();
        Box::new(move |outcome| told.send(outcome).unwrap())
    };
    pool.queue().submit(job(1), reply());
    // The worker may not have taken the first job yet: this waits until it has.
    pool.queue().submit(job(2), reply());
    // Those who can't wait have a queue of their own, which is as short.
    pool.queue().try_submit(job(5), reply()).unwrap();
    let refused = pool.queue().try_submit(job(3), reply()).unwrap_err();
    assert_eq!(refused.job.wanted, [3]);
    pool.queue.shared.closed.store(true, Ordering::Relaxed);
    drop(shut);
    assert!(outcomes.recv().unwrap().is_ok(), "what has begun is finished");
    for _ in 0..2 {
        assert!(matches!(
            outcomes.recv().unwrap(),
            Err(DecodeError::Closed { .. })
        ));
    }
    let queue = pool.queue();
    pool.close();
    queue.submit(job(4), reply());
    assert!(matches!(
        outcomes.recv().unwrap(),
        Err(DecodeError::Closed { .. })
    ));
}
