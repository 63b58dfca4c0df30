//! Cropping, scaling, mirroring and blurring as one matrix a row axis and one a column axis: exact, batched, and fast
//! wherever matrix products are.

use tch::{Device, Kind, Tensor};

/// One axis of a batch of crops, as parts of the picture's extent.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    /// Where the crop begins, 0 to 1.
    pub starts: Vec<f32>,
    /// How long it is, 0 to 1.
    pub lengths: Vec<f32>,
    /// 1 where it is mirrored, else 0.
    pub mirrored: Vec<f32>,
}

fn column(values: &[f32], device: Device) -> Tensor {
    Tensor::from_slice(values).to_device(device).view([-1, 1, 1])
}

fn indices(count: i64, device: Device) -> Tensor {
    Tensor::arange(count, (Kind::Float, device))
}

/// `[B, out, in]`: row i mixes the input pixels around the centre of output pixel i, in a triangle as wide as the step between
/// output pixels (at least one input pixel), so that shrinking does not alias. Rows sum to 1, at the edges too.
pub(super) fn resampling(axis: &Axis, pixels_in: i64, pixels_out: i64, device: Device) -> Tensor {
    let (starts, lengths) = (column(&axis.starts, device), column(&axis.lengths, device));
    let mirrored = column(&axis.mirrored, device);
    let along = ((indices(pixels_out, device) + 0.5) / pixels_out as f64).view([1, -1, 1]);
    let along = &along + &mirrored * (1.0 - 2.0 * &along);
    let centres = (starts + along * &lengths) * pixels_in as f64 - 0.5;
    let reach = (lengths * (pixels_in as f64 / pixels_out as f64)).clamp_min(1.0);
    let offset: Tensor = indices(pixels_in, device).view([1, 1, -1]) - centres;
    let nearness: Tensor = 1.0 - offset.abs() / reach;
    normalised(&nearness.clamp_min(0.0))
}

/// `[B, n, n]`: Gaussian blur with a standard deviation each, in pixels; none where it is 0. Rows sum to 1.
pub(super) fn blurring(sigmas: &[f32], pixels: i64, device: Device) -> Tensor {
    let index = indices(pixels, device);
    let offset: Tensor = index.view([1, -1, 1]) - index.view([1, 1, -1]);
    let variance = column(sigmas, device).clamp_min(1e-3).square();
    let exponent: Tensor = offset.square() / (-2.0 * variance);
    normalised(&exponent.exp())
}

fn normalised(weights: &Tensor) -> Tensor {
    weights / weights.sum_dim_intlist(-1, true, Kind::Float)
}

/// Pictures `[B, N, H, W]` → `[B, N, H', W']` by `rows` `[B, H', H]` and `columns` `[B, W', W]`.
pub(super) fn apply(pictures: &Tensor, rows: &Tensor, columns: &Tensor) -> Tensor {
    let size = pictures.size();
    let (batch, planes, height, width) = (size[0], size[1], size[2], size[3]);
    let (height_out, width_out) = (rows.size()[1], columns.size()[1]);
    let across = pictures
        .reshape([batch, planes * height, width])
        .bmm(&columns.transpose(1, 2));
    let down = across
        .view([batch, planes, height, width_out])
        .transpose(2, 3)
        .reshape([batch, planes * width_out, height])
        .bmm(&rows.transpose(1, 2));
    down.view([batch, planes, width_out, height_out]).transpose(2, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(start: f32, length: f32, mirrored: bool) -> Axis {
        Axis {
            starts: vec![start],
            lengths: vec![length],
            mirrored: vec![if mirrored { 1.0 } else { 0.0 }],
        }
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    fn resampled(input: &[f32], axis: &Axis, out: i64) -> Vec<f32> {
        let matrix = resampling(axis, input.len() as i64, out, Device::Cpu);
        values(&matrix.get(0).mv(&Tensor::from_slice(input)))
    }

    #[test]
    fn the_whole_at_its_own_size_stays_and_mirrors() {
        assert_eq!(
            resampled(&[1.0, 2.0, 4.0, 8.0], &axis(0.0, 1.0, false), 4),
            [1.0, 2.0, 4.0, 8.0]
        );
        assert_eq!(
            resampled(&[1.0, 2.0, 4.0, 8.0], &axis(0.0, 1.0, true), 4),
            [8.0, 4.0, 2.0, 1.0]
        );
        assert_eq!(
            resampled(&[1.0, 2.0, 4.0, 8.0], &axis(0.5, 0.5, false), 2),
            [4.0, 8.0]
        );
    }

    #[test]
    fn a_ramp_stays_a_ramp_when_it_grows() {
        let grown = resampled(
            &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            &axis(1.0 / 3.0, 1.0 / 3.0, false),
            4,
        );
        for (found, expected) in grown.iter().zip([1.75, 2.25, 2.75, 3.25]) {
            assert!((found - expected).abs() < 1e-5, "{grown:?}");
        }
    }

    #[test]
    fn shrinking_averages_and_keeps_brightness() {
        let stripes: Vec<f32> = (0..64).map(|i| (i % 2) as f32).collect();
        for value in resampled(&stripes, &axis(0.0, 1.0, false), 8) {
            assert!(
                (value - 0.5).abs() < 0.02,
                "stripes finer than the output came out as {value}"
            );
        }
    }

    #[test]
    fn blur_is_as_wide_as_its_sigma() {
        let matrix = blurring(&[2.0, 0.0], 65, Device::Cpu);
        let index = Tensor::arange(65, (Kind::Float, Device::Cpu)) - 32.0;
        let variance = (matrix.get(0).get(32) * index.square())
            .sum(Kind::Float)
            .double_value(&[]);
        assert!((variance - 4.0).abs() < 0.01, "{variance}");
        assert_eq!(matrix.get(1), Tensor::eye(65, (Kind::Float, Device::Cpu)));
    }

    #[test]
    fn rows_and_columns_are_not_confused() {
        let picture = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([1, 1, 3, 4]);
        let rows = resampling(&axis(0.0, 1.0, false), 3, 3, Device::Cpu);
        let columns = resampling(&axis(0.5, 0.5, true), 4, 2, Device::Cpu);
        assert_eq!(
            values(&apply(&picture, &rows, &columns)),
            [3.0, 2.0, 7.0, 6.0, 11.0, 10.0]
        );
    }
}
