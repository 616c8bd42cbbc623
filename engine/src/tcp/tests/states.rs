use crate::tcp::state::{Event, State};

/// RFC 9293 §3.3.2, figure 5, with our events; what is not here cannot happen.
#[test]
fn the_table_of_transitions() {
    use Event::*;
    let events = [
        SynArrived,
        SynAckArrived,
        SynAcknowledged,
        FinSent,
        FinArrived,
        FinAcknowledged,
        TimeWaitOver,
    ];
    let mut table = String::new();
    for state in State::ALL {
        for event in events {
            if let Some(next) = state.after(event) {
                table += &format!("{state:?} --{event:?}--> {next:?}\n");
            }
        }
    }
    let expected = "\
SynSent --SynArrived--> SynReceived
SynSent --SynAckArrived--> Established
SynReceived --SynAcknowledged--> Established
Established --FinSent--> FinWait1
Established --FinArrived--> CloseWait
FinWait1 --FinArrived--> Closing
FinWait1 --FinAcknowledged--> FinWait2
FinWait2 --FinArrived--> TimeWait
CloseWait --FinSent--> LastAck
Closing --FinAcknowledged--> TimeWait
LastAck --FinAcknowledged--> Closed
TimeWait --TimeWaitOver--> Closed
";
    assert_eq!(table, expected);
    for state in State::ALL {
        let ended = (state != State::Closed).then_some(State::Closed);
        assert_eq!(state.after(Ended), ended);
    }
}
