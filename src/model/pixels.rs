use tch::{Kind, Tensor};

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
}
