//! A badge as an image: two words side by side.

/// The image of a label and a message on this colour.
pub fn badge(label: &str, message: &str, color: &str) -> String {
    let (left, right) = (width(label), width(message));
    let (whole, label) = (left + right, escaped(label));
    let text = |center: i64, width: i64, text: &str| {
        // A font that is wider or narrower than the one that was measured is fitted.
        format!(r#"<text x="{center}" y="14" textLength="{}">{text}</text>"#, width - 10)
    };
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{label}: {message}"><title>{label}: {message}</title><clipPath id="r"><rect width="{whole}" height="20" rx="3"/></clipPath><g clip-path="url(#r)"><rect width="{left}" height="20" fill="#444a52"/><rect x="{left}" width="{right}" height="20" fill="{color}"/></g><g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{}{}</g></svg>"##,
        text(left / 2, left, &label),
        text(left + right / 2, right, message),
    )
}

/// How wide a text is, with five pixels on either side: 7 for each character, which is what Verdana has on average.
fn width(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(0) * 7 + 10
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // What XML 1.0 takes no more than control characters.
            '\u{fffe}' | '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_breaks_out_of_nothing() {
        let image = badge("<script>\"&", "passing", "#fff");
        assert!(image.contains("&lt;script&gt;&quot;&amp;: passing") && !image.contains("<script"), "{image}");
    }

    #[test]
    fn it_is_as_wide_as_its_words() {
        let image = badge("tests", "failing", "#b3372f");
        assert!(image.contains(r#"width="104" height="20""#), "{image}");
        assert!(image.contains(r#"<text x="22" y="14" textLength="35">tests</text>"#), "{image}");
    }
}
