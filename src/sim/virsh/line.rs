//! Command lines of `virsh` itself: words, quotes, `;` and `#`, by its own rules and not a shell's.
//! Pure.

/// Splits a line into commands of words, or returns what `virsh` complains about.
pub(super) fn split(line: &str) -> Result<Vec<Vec<String>>, &'static str> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        match first {
            ' ' | '\t' => continue,
            ';' | '\n' => {
                commands.push(std::mem::take(&mut words));
                continue;
            }
            '#' => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            _ => {}
        }
        let mut word = String::new();
        let (mut single, mut double) = (false, false);
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\'' if !double => single = !single,
                '"' if !single => double = !double,
                '\\' if !single => word.push(chars.next().ok_or("dangling \\")?),
                _ => word.push(c),
            }
            next = chars.next_if(|c| single || double || !" \t\n;".contains(*c));
        }
        if double {
            return Err("missing \"");
        }
        words.push(word);
    }
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_virsh_does() {
        let cases: [(&str, &[&[&str]]); 9] = [
            ("", &[]),
            ("list --all", &[&["list", "--all"]]),
            ("echo a; echo b", &[&["echo", "a"], &["echo", "b"]]),
            (
                r#"echo 'a b' "c d" e\ f"#,
                &[&["echo", "a b", "c d", "e f"]],
            ),
            (r#"echo "a\"b" 'x\y'"#, &[&["echo", "a\"b", r"x\y"]]),
            (
                "echo unterminated 'abc",
                &[&["echo", "unterminated", "abc"]],
            ),
            ("# hi", &[]),
            ("echo a   #b", &[&["echo", "a"]]),
            (";echo q", &[&["echo", "q"]]),
        ];
        for (line, expected) in cases {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn complaints_are_those_of_virsh() {
        assert_eq!(split("echo \"abc"), Err("missing \""));
        assert_eq!(split("echo abc\\"), Err("dangling \\"));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_fall_over(line in "\\PC*|[ '\"\\\\;#a]{0,30}") {
            drop(split(&line));
        }
    }
}
