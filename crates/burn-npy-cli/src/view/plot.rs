//! Lines with axes, as SVG or as pixels.

use std::fmt::Write;
use std::ops::Range;

use super::picture::{CHARACTER, Color, LINE, Picture};
use super::series::Line;

/// The size of a plot in pixels.
const WIDTH: usize = 800;
const HEIGHT: usize = 400;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 50.0;
/// The top of the lines, below the title, and how much lower it is for each line of the legend.
const TOP: f64 = 40.0;
const LEGEND: f64 = 20.0;
/// The steps of a line: there are about as many pixels between the axes.
pub(super) const STEPS: usize = 700;

const PAPER: Color = [255, 255, 255];
const INK: Color = [31, 35, 40];
const PALE_INK: Color = [89, 99, 110];
const GRID: Color = [228, 231, 235];
/// The colors of Okabe and Ito that stand out from white, for eyes of all kinds.
pub(super) const COLORS: [Color; 8] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [86, 180, 233],
    [230, 159, 0],
    [90, 90, 90],
    [120, 60, 20],
];

/// What a plot consists of, in the order in which it is drawn.
#[derive(Debug)]
enum Shape {
    Line(Vec<[f64; 2]>, f64, Color),
    /// A text at the left end, the middle or the right end of its baseline.
    Text([f64; 2], Anchor, String, Color),
}

#[derive(Clone, Copy, Debug)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot(Vec<Shape>);

impl Plot {
    /// A plot of lines that have points in some rows.
    pub(super) fn new(title: &str, below: &str, rows: Range<usize>, lines: &[Line]) -> Self {
        let points = lines.iter().flat_map(|line| line.pieces.iter().flatten());
        let (low, high) = points.fold((f64::MAX, f64::MIN), |(low, high), [_, number]| {
            (low.min(*number), high.max(*number))
        });
        // One number gets some room.
        let room = |[low, high]: [f64; 2]| {
            let room = match low == high {
                true => (low.abs() / 10.0).max(0.5),
                false => 0.0,
            };
            [(low - room).max(f64::MIN), (high + room).min(f64::MAX)]
        };
        let x_range = room([rows.start as f64, rows.end as f64 - 1.0]);
        let mut shapes = Vec::new();
        let mut text = |at, anchor, text: &str, color| {
            shapes.push(Shape::Text(at, anchor, text.to_owned(), color));
        };
        let (y_range, y_step) = ticks(room([low, high]), 6.0, 0.0);
        let x_step = ticks(x_range, 8.0, 1.0).1;
        let y_labels = labels(y_range, y_step);
        let widest = y_labels.iter().map(|(_, text)| text.len()).max();
        let left = 20.0 + (widest.unwrap_or(0) * CHARACTER) as f64;
        let (right, bottom) = (WIDTH as f64 - RIGHT, HEIGHT as f64 - BOTTOM);
        text([left, 24.0], Anchor::Start, title, INK);
        text(
            [(left + right) / 2.0, HEIGHT as f64 - 10.0],
            Anchor::Middle,
            below,
            PALE_INK,
        );
        let mut top = TOP;
        let mut dashes = Vec::new();
        if lines.len() > 1 || lines.iter().any(|line| !line.name.is_empty()) {
            let mut x = left;
            for (line, color) in lines.iter().zip(COLORS) {
                let name: String = line.name.chars().take(24).collect();
                let width = (name.chars().count() * CHARACTER) as f64 + 46.0;
                if x > left && x + width > right {
                    (x, top) = (left, top + LEGEND);
                }
                let y = top + 4.0;
                dashes.push(Shape::Line(vec![[x, y], [x + 18.0, y]], 3.0, color));
                text([x + 24.0, y + 5.0], Anchor::Start, &name, INK);
                x += width;
            }
            top += LEGEND;
        }
        let scaled = |number: f64, [low, high]: [f64; 2], start: f64, end: f64| {
            // Halves, since the difference of two numbers may be infinite.
            let part = (number / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
            start + part * (end - start)
        };
        let x_of = |row: f64| scaled(row, x_range, left, right);
        let y_of = |number: f64| scaled(number, y_range, bottom, top);
        // A line of a pixel is sharp only in the middle of pixels.
        let rule = |from: [f64; 2], to: [f64; 2], color| {
            let points = [from, to].map(|point| point.map(|place| place.floor() + 0.5));
            Shape::Line(points.to_vec(), 1.0, color)
        };
        for (number, label) in &y_labels {
            let y = y_of(*number);
            dashes.push(rule([left, y], [right, y], GRID));
            text([left - 8.0, y + 5.0], Anchor::End, label, PALE_INK);
        }
        for (row, label) in labels(x_range, x_step) {
            let x = x_of(row);
            dashes.push(rule([x, bottom], [x, bottom + 5.0], PALE_INK));
            // The last one ends with the picture.
            let half = (label.len() * CHARACTER) as f64 / 2.0;
            let at = x.min(WIDTH as f64 - half - 2.0);
            text([at, bottom + 20.0], Anchor::Middle, &label, PALE_INK);
        }
        dashes.push(rule([left, bottom], [right, bottom], PALE_INK));
        shapes.extend(dashes);
        for (line, color) in lines.iter().zip(COLORS) {
            for piece in &line.pieces {
                let mut points: Vec<_> = piece.iter().map(|[x, y]| [x_of(*x), y_of(*y)]).collect();
                if let [[x, y]] = points[..] {
                    // A point is a short line.
                    points = vec![[x - 1.0, y], [x + 1.0, y]];
                }
                shapes.push(Shape::Line(points, 1.5, color));
            }
        }
        Self(shapes)
    }

    pub(super) fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n",
            hexadecimal(PAPER)
        );
        for shape in &self.0 {
            // A string takes all that is written.
            let _ = match shape {
                Shape::Line(points, width, color) => {
                    let points: Vec<_> = points
                        .iter()
                        .map(|[x, y]| format!("{},{}", tenths(*x), tenths(*y)))
                        .collect();
                    writeln!(
                        svg,
                        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" \
                         stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
                        points.join(" "),
                        hexadecimal(*color)
                    )
                }
                Shape::Text([x, y], anchor, text, color) => {
                    let anchor = match anchor {
                        Anchor::Start => "start",
                        Anchor::Middle => "middle",
                        Anchor::End => "end",
                    };
                    writeln!(
                        svg,
                        "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
                        tenths(*x),
                        tenths(*y),
                        hexadecimal(*color),
                        escaped(text)
                    )
                }
            };
        }
        svg + "</svg>\n"
    }

    pub(super) fn picture(&self) -> Picture {
        let mut picture = Picture::new(WIDTH, HEIGHT, PAPER);
        for shape in &self.0 {
            match shape {
                Shape::Line(points, width, color) => picture.polyline(points, *width, *color),
                Shape::Text([x, y], anchor, text, color) => {
                    let width = (text.chars().count() * CHARACTER) as f64;
                    let left = match anchor {
                        Anchor::Start => *x,
                        Anchor::Middle => x - width / 2.0,
                        Anchor::End => x - width,
                    };
                    // Where the baseline is in a line of this font.
                    let top = y - 0.8 * LINE as f64;
                    let at = [left, top].map(|place| place.round().max(0.0) as usize);
                    picture.text(at, text, *color);
                }
            }
        }
        picture
    }
}

/// A range that begins and ends with a tick, and the step between ticks: 1, 2 or 5 times a power of
/// ten, at least `least`, with about `count` ticks.
fn ticks([low, high]: [f64; 2], count: f64, least: f64) -> ([f64; 2], f64) {
    let rough = high / count - low / count;
    let power = 10_f64.powf(rough.log10().floor()).max(f64::MIN_POSITIVE);
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999)
        .unwrap_or(10.0);
    let step = (factor * power).max(least);
    let ends = [(low / step).floor() * step, (high / step).ceil() * step];
    match ends.iter().all(|end| end.is_finite()) {
        true => (ends, step),
        false => ([low, high], step),
    }
}

/// The ticks in a range, with their numbers.
fn labels([low, high]: [f64; 2], step: f64) -> Vec<(f64, String)> {
    let first = (low / step - 1e-6).ceil();
    let numbers = (0..100).map(|tick| (first + f64::from(tick)) * step);
    let most = (high + step * 1e-6).min(f64::MAX);
    let numbers = numbers.take_while(|number| *number <= most);
    let greatest = low.abs().max(high.abs());
    let numbers: Vec<_> = numbers.collect();
    let decimals = (-step.log10() + 1e-9).ceil().max(0.0) as usize;
    let is_short = |text: &String| text.len() <= 10;
    let plain = |number: &f64| format!("{:.decimals$}", number + 0.0);
    let digits = (greatest / step).log10().ceil().clamp(0.0, 15.0) as usize;
    let scientific = |number: &f64| format!("{:.digits$e}", number + 0.0);
    let texts: Vec<_> = match numbers.iter().map(plain).all(|text| is_short(&text)) {
        true => numbers.iter().map(plain).collect(),
        false => numbers.iter().map(scientific).collect(),
    };
    numbers.into_iter().zip(texts).collect()
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn hexadecimal([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A text in XML. Control characters have no place there.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_round_numbers() {
        for (range, expected) in [
            ([0.0, 1.0], "0.0 0.2 0.4 0.6 0.8 1.0"),
            ([-1.1, 0.9], "-1.5 -1.0 -0.5 0.0 0.5 1.0"),
            ([3.0, 27.0], "0 5 10 15 20 25 30"),
            (
                [1e9, 1e9 + 10.0],
                "1000000000 1000000002 1000000004 1000000006 1000000008 1000000010",
            ),
            (
                [0.0, 3e-9],
                "0.0e0 5.0e-10 1.0e-9 1.5e-9 2.0e-9 2.5e-9 3.0e-9",
            ),
        ] {
            let (range, step) = ticks(range, 6.0, 0.0);
            let texts: Vec<_> = labels(range, step)
                .into_iter()
                .map(|(_, text)| text)
                .collect();
            assert_eq!(texts.join(" "), expected);
        }
    }

    #[test]
    fn any_numbers_have_a_place_in_the_picture() {
        for y in [0.0, 1e-320, 1e-12, 1.0, 1e15, 1e308, f64::MAX] {
            for pair in [[y, y], [-y, y], [0.0, y], [y, y * (1.0 - 1e-15)]] {
                let piece = vec![[0.0, pair[0]], [9e15, pair[1]]];
                let name = "<&>\u{1}é漢".to_owned();
                let lines = [Line {
                    name,
                    pieces: vec![piece],
                }];
                let plot = Plot::new("title", "row", 0..1 << 53, &lines);
                for shape in &plot.0 {
                    let points = match shape {
                        Shape::Line(points, ..) => points,
                        Shape::Text(at, ..) => &vec![*at],
                    };
                    for [x, y] in points {
                        let inside = (0.0..=800.0).contains(x) && (0.0..=400.0).contains(y);
                        assert!(inside, "{pair:?}: {shape:?}");
                    }
                }
                roxmltree::Document::parse(&plot.svg()).unwrap();
                plot.picture();
            }
        }
    }
}
