//! Prometheus' text format 0.0.4, for who does not ask for OpenMetrics: older collectors, `promtool
//! check metrics`, a person with curl.

/// The same page. Samples are written alike in both; what is said of families is not.
pub(super) fn from_openmetrics(page: &str) -> String {
    let mut classic = String::with_capacity(page.len());
    let mut help = "";
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match [(); 4].map(|()| words.next().unwrap_or_default()) {
            // Comes before the type, which decides on the name.
            ["#", "HELP", _, text] => help = text,
            ["#", "TYPE", name, kind] => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    _ => ("", kind),
                };
                classic += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
            }
            ["#", ..] => {}
            _ => {
                classic += line;
                classic.push('\n');
            }
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_names_of_their_samples_and_samples_stay() {
        let openmetrics = "\
# HELP ringroad_payload_bytes Payload moved
# TYPE ringroad_payload_bytes counter
# UNIT ringroad_payload_bytes bytes
ringroad_payload_bytes_total{service=\"web\"} 7
# HELP ringroad_build The program
# TYPE ringroad_build info
ringroad_build_info{version=\"1\"} 1
# HELP ringroad_burst Packets at a look
# TYPE ringroad_burst histogram
ringroad_burst_sum 2.0
# EOF
";
        let classic = "\
# HELP ringroad_payload_bytes_total Payload moved
# TYPE ringroad_payload_bytes_total counter
ringroad_payload_bytes_total{service=\"web\"} 7
# HELP ringroad_build_info The program
# TYPE ringroad_build_info gauge
ringroad_build_info{version=\"1\"} 1
# HELP ringroad_burst Packets at a look
# TYPE ringroad_burst histogram
ringroad_burst_sum 2.0
";
        assert_eq!(from_openmetrics(openmetrics), classic);
    }
}
