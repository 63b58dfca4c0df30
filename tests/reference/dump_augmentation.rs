//! Writes what the augmentation makes of random samples, and many of its draws, for an independent implementation.

use std::path::Path;

use comove::model::ModelConfig;
use comove::replay::MASKED;
use comove::train::{Batch, Crop, SampleDraw, augment};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

/// Sources of several shapes, smaller and larger than what is stored.
const SOURCES: [(u32, u32); 6] = [
    (1280, 720),
    (640, 480),
    (96, 72),
    (480, 640),
    (1920, 800),
    (64, 64),
];

/// Enough that a share of them is known to 1 %.
const DRAWS: usize = 20_000;

/// Writes one batch into `folder`, which exists.
pub fn write_augmentation(folder: &Path, config: &ModelConfig, seed: u64) -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sample = &config.sample;
    let (frame, cells) = (sample.frame_size, sample.motion_size);
    let pixels = i64::from(frame.width) * i64::from(frame.height);
    let batch_size = SOURCES.len() as i64;
    let clip_frames = i64::from(sample.clip_frames);
    let (height, width) = (i64::from(frame.height), i64::from(frame.width));
    let pictures = |frames: i64, rng: &mut ChaCha8Rng| -> Tensor {
        let bytes: Vec<u8> = (0..batch_size * frames * pixels * 3)
            .map(|_| rng.random())
            .collect();
        Tensor::from_slice(&bytes)
    };
    let clips = pictures(clip_frames, &mut rng).view([batch_size, clip_frames, height, width, 3]);
    let key_frames = pictures(1, &mut rng).view([batch_size, height, width, 3]);

    let windows = 1 + i64::from(sample.hard_negatives);
    let maps = batch_size * windows * i64::from(sample.target_frames);
    let area = cells.width as usize * cells.height as usize;
    let mut motion = Vec::with_capacity(maps as usize * 2 * area);
    for _ in 0..maps {
        // A third of the cells is not known; up to 12 pixels, so that some are cut off at 10.
        let known: Vec<bool> = (0..area).map(|_| rng.random_bool(2.0 / 3.0)).collect();
        for _ in 0..2 {
            motion.extend(known.iter().map(|&known| {
                if known {
                    rng.random_range(-768..=768)
                } else {
                    MASKED
                }
            }));
        }
    }
    let motion = Tensor::from_slice(&motion).view([
        batch_size,
        windows,
        i64::from(sample.target_frames),
        2,
        i64::from(cells.height),
        i64::from(cells.width),
    ]);
    let batch = Batch {
        clips,
        key_frames,
        motion,
        source_sizes: SOURCES.to_vec(),
        scenes: Tensor::from_slice(&[0i64, 1, 2, 3, 4, 5]),
    };
    let draws: Vec<SampleDraw> = SOURCES
        .iter()
        .map(|&(width, height)| SampleDraw::draw(&mut rng, width, height, 1.0))
        .collect();
    let views = augment(&batch, &draws, config);

    let case = serde_json::json!({
        "model": config,
        "sources": SOURCES,
        "draws": draws.iter().map(|draw| serde_json::json!({ "clip": view(&draw.clip), "key_frame": view(&draw.key_frame) })).collect::<Vec<_>>(),
        "crops_of_1280x720": (0..DRAWS).map(|_| crop(&Crop::draw(&mut rng, 1280, 720, 1.0))).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("augmentation.json"), serde_json::to_vec(&case)?)?;
    Tensor::write_safetensors(
        &[
            ("stored.clips", batch.clips),
            ("stored.key_frames", batch.key_frames),
            ("stored.motion", batch.motion.to_kind(Kind::Int)),
            ("views.clips", views.clips.contiguous()),
            ("views.key_frames", views.key_frames.contiguous()),
            ("views.motion", views.motion.contiguous()),
            ("views.known", views.known.contiguous()),
        ],
        folder.join("augmentation.safetensors"),
    )?;
    Ok(())
}

fn view(view: &comove::train::ViewDraw) -> serde_json::Value {
    let looks = &view.appearance;
    serde_json::json!({
        "crop": crop(&view.crop), "matrix": looks.matrix, "mean_share": looks.mean_share, "blur_sigma": looks.blur_sigma,
    })
}

/// Left, top, width, height, 1 where flipped.
fn crop(crop: &Crop) -> [f64; 5] {
    [
        crop.left,
        crop.top,
        crop.width,
        crop.height,
        f64::from(u8::from(crop.flipped)),
    ]
}
