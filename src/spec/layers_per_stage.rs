//! The notation of `layers_per_stage`: `"4,6×14,5"` is 4, fourteen times 6, then 5.

/// Stages (of all chunks) that a pipeline may have.
const STAGES_MAX: usize = 10_000;

/// The layers of each stage.
///
/// `×`, `x` and `*` all mean "so many times". An error says which part is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<u32>, String> {
    let mut stages = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (layers, times) = part
            .split_once(['×', 'x', '*'])
            .map_or((part, "1"), |(layers, times)| (layers.trim(), times.trim()));
        let wrong = || {
            format!("`{part}` in `{text}` is not layers of a stage; write a list like \"4,6×14,5\"")
        };
        let layers: u32 = layers.parse().map_err(|_| wrong())?;
        let times: usize = times.parse().map_err(|_| wrong())?;
        if times == 0 {
            return Err(wrong());
        }
        if times > STAGES_MAX - stages.len() {
            return Err(format!("`{text}` has more than {STAGES_MAX} stages"));
        }
        stages.extend(std::iter::repeat_n(layers, times));
    }
    if stages.iter().all(|layers| *layers == 0) {
        return Err(format!("`{text}` has no layers at all"));
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 4, then 6 three times, then 5; spaces and the sign for "times" do not matter. An embedding may
    // fill a stage alone: 0 layers are allowed, but not everywhere.
    #[test]
    fn stages_are_counted_out() {
        for text in ["4,6×3,5", "4, 6x3 ,5", "4,6*3,5"] {
            assert_eq!(parse(text), Ok(vec![4, 6, 6, 6, 5]), "{text}");
        }
        assert_eq!(parse("0,8"), Ok(vec![0, 8]));
    }

    #[test]
    fn what_is_no_list_of_stages_is_refused() {
        for text in [
            "",
            "4,,5",
            "4x",
            "x4",
            "4x0",
            "-1",
            "4.5",
            "a",
            "0,0",
            "1x10001",
            "9999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
