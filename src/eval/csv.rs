//! Comma-separated text, as RFC 4180 has it: quoted fields may hold commas, line ends and doubled quotes.

/// A record, with the number of the line that it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counted from 1.
    pub line: usize,
    /// Its fields, blanks around them cut off unless quoted.
    pub fields: Vec<String>,
}

/// All records but empty lines. A byte order mark is passed over.
///
/// # Errors
/// The line on which a quoted field begins that does not end.
pub fn records(text: &str) -> Result<Vec<Record>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let mut characters = text.chars().peekable();
    let mut line = 1;
    while characters.peek().is_some() {
        let begins = line;
        let mut fields = Vec::new();
        loop {
            let (mut field, mut quoted) = (String::new(), false);
            let end = loop {
                match characters.next() {
                    Some('"') if field.trim().is_empty() && !quoted => {
                        quoted = true;
                        field.clear();
                        let opened = line;
                        loop {
                            match characters.next() {
                                Some('"') if characters.next_if_eq(&'"').is_some() => field.push('"'),
                                Some('"') => break,
                                Some(character) => {
                                    line += usize::from(character == '\n');
                                    field.push(character);
                                }
                                None => return Err(opened),
                            }
                        }
                    }
                    Some('\r') if characters.peek() == Some(&'\n') => {}
                    // Blanks between a closing quote and the comma.
                    Some(' ' | '\t') if quoted => {}
                    end @ (Some(',' | '\n') | None) => break end,
                    Some(character) => field.push(character),
                }
            };
            fields.push(if quoted { field } else { field.trim().to_owned() });
            match end {
                Some(',') => {}
                other => {
                    line += usize::from(other == Some('\n'));
                    break;
                }
            }
        }
        if fields.iter().any(|field| !field.is_empty()) {
            found.push(Record { line: begins, fields });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        records(text)
            .unwrap()
            .into_iter()
            .map(|r| (r.line, r.fields))
            .collect()
    }

    #[test]
    fn quotes_commas_and_line_ends_are_read_as_they_are_meant() {
        let text = "\u{feff}a, b ,c\r\n\r\n\"x, y\",\"he said \"\"no\"\"\",\"two\nlines\"\nlast,,";
        assert_eq!(
            fields(text),
            [
                (1, vec!["a".into(), "b".into(), "c".into()]),
                (
                    3,
                    vec!["x, y".into(), "he said \"no\"".into(), "two\nlines".into()]
                ),
                (5, vec!["last".into(), String::new(), String::new()])
            ]
        );
    }

    #[test]
    fn a_quote_that_never_ends_is_told_with_its_line() {
        assert_eq!(records("a\nb,\"c\nd"), Err(2));
        assert_eq!(records("").unwrap(), []);
    }
}
