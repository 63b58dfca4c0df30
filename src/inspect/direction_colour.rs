//! A colour for every direction on the screen. Pure.

use tiny_skia::Color;

/// The colour of a displacement's direction: red to the right, then through yellow and green (up) counter-clockwise. `x` and
/// `y` in picture coordinates, whose y axis points down; not both zero.
pub fn direction_colour(x: f32, y: f32) -> Color {
    let turn = (-y).atan2(x) / std::f32::consts::TAU;
    hue(turn.rem_euclid(1.0))
}

/// The colour of a direction as bytes.
pub fn direction_rgb(x: f32, y: f32) -> [u8; 3] {
    let colour = direction_colour(x, y).to_color_u8();
    [colour.red(), colour.green(), colour.blue()]
}

/// A saturated colour of this hue in 0..1, all equally fit to be seen on a darkened picture.
fn hue(turn: f32) -> Color {
    let component = |shift: f32| {
        let distance = ((turn + shift).rem_euclid(1.0) * 6.0 - 3.0).abs();
        (distance - 1.0).clamp(0.0, 1.0)
    };
    // A little white in every colour: pure blue is too dark for thin lines.
    let light = |part: f32| 0.25 + 0.75 * part;
    let [red, green, blue] = [0.0, 2.0 / 3.0, 1.0 / 3.0].map(|shift| light(component(shift)));
    Color::from_rgba(red, green, blue, 1.0).unwrap_or(Color::WHITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strongest(x: f32, y: f32) -> &'static str {
        let colour = direction_colour(x, y);
        match (colour.red() > 0.9, colour.green() > 0.9, colour.blue() > 0.9) {
            (true, false, false) => "red",
            (false, true, false) => "green",
            (false, false, true) => "blue",
            (true, true, false) => "yellow",
            (false, true, true) => "cyan",
            (true, false, true) => "magenta",
            _ => "mixed",
        }
    }

    #[test]
    fn colours_go_round_counter_clockwise_from_red() {
        assert_eq!(strongest(1.0, 0.0), "red");
        let sixth = std::f32::consts::TAU / 6.0;
        let colours = ["red", "yellow", "green", "cyan", "blue", "magenta"];
        for (nth, colour) in colours.into_iter().enumerate() {
            let angle = sixth * nth as f32;
            assert_eq!(strongest(angle.cos(), -angle.sin()), colour);
        }
    }
}
