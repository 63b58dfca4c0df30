use tch::{Kind, Tensor};

use super::ViewNorm;

/// Mean of red, green and blue in 0..1 over Kinetics-400 (torchvision's video models).
pub const RGB_MEAN: [f32; 3] = [0.43216, 0.394666, 0.37645];

/// Standard deviation of the same.
pub const RGB_STD: [f32; 3] = [0.22803, 0.22145, 0.216989];

/// Pixels in 0..1 → what the networks are fed with. Any shape with three channels in dimension 1: `[B, 3, H, W]` or
/// `[B, 3, T, H, W]`.
pub fn normalise_rgb(pixels: &Tensor) -> Tensor {
    let mut shape = vec![1; pixels.dim()];
    shape[1] = 3;
    let channels = |values: &[f32; 3]| {
        Tensor::from_slice(values)
            .view(shape.as_slice())
            .to_device(pixels.device())
    };
    (pixels.to_kind(Kind::Float) - channels(&RGB_MEAN)) / channels(&RGB_STD)
}

/// Keeps noise in views of one colour small.
const DEVIATION_MIN: f64 = 0.05;

impl ViewNorm {
    /// Normalised views `[B, 3, …]` → the same shape; each sample's mean and deviation are over its channels, frames and places
    /// together, so that colours keep their proportions.
    pub(super) fn forward(self, views: &Tensor) -> Tensor {
        match self {
            Self::None => views.shallow_clone(),
            Self::View => {
                let dimensions: Vec<i64> = (1..views.dim() as i64).collect();
                let mean = views.mean_dim(dimensions.as_slice(), true, None);
                let centred = views - mean;
                let deviation = centred
                    .square()
                    .mean_dim(dimensions.as_slice(), true, None)
                    .sqrt();
                centred / (deviation + DEVIATION_MIN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn the_mean_colour_becomes_zero() {
        let pixels = Tensor::from_slice(&RGB_MEAN)
            .view([1, 3, 1, 1])
            .expand([2, 3, 4, 5], false);
        let normal = normalise_rgb(&pixels);
        assert_eq!(normal.size(), [2, 3, 4, 5]);
        assert!(normal.abs().max().double_value(&[]) < 1e-6);
        let white = normalise_rgb(&Tensor::ones([1, 3, 2, 2, 2], (Kind::Float, Device::Cpu)));
        let red = (1.0 - f64::from(RGB_MEAN[0])) / f64::from(RGB_STD[0]);
        assert!((white.double_value(&[0, 0, 1, 1, 1]) - red).abs() < 1e-6);
    }

    #[test]
    fn a_views_light_and_contrast_go_and_its_colours_stay() {
        let float = (Kind::Float, Device::Cpu);
        let view = Tensor::arange(2 * 3 * 4 * 5, float).sin().view([2, 3, 1, 4, 5]);
        let seen = ViewNorm::View.forward(&view);
        assert!(seen.get(1).mean(Kind::Float).double_value(&[]).abs() < 1e-6);
        let deviation = seen.get(1).std(false).double_value(&[]);
        assert!((0.9..1.0).contains(&deviation), "{deviation}");
        // Twice the contrast and another light hardly change anything, and a view does not see its neighbour.
        let other = Tensor::cat(&[&view.get(1) * 2.0 + 0.3, view.get(0) * 7.0], 0).view([2, 3, 1, 4, 5]);
        let change = ViewNorm::View.forward(&other).get(0) - seen.get(1);
        assert!(change.abs().max().double_value(&[]) < 0.1);
        // A view of one colour is not divided by nothing.
        let flat = ViewNorm::View.forward(&Tensor::full([1, 3, 2, 2], 0.7, float));
        assert!(flat.abs().max().double_value(&[]) < 1e-5);
        assert_eq!(ViewNorm::None.forward(&view), view);
    }
}
