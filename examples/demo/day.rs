//! The script of the service's day.

use std::time::Duration;

/// What a request to the service runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Healthy,
    Slow,
    Failing,
    Down,
}

pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) weather: Weather,
    length: Duration,
}

const DAY: [Phase; 5] = [
    Phase::new("healthy", Weather::Healthy, 1_500),
    Phase::new("slow", Weather::Slow, 1_500),
    Phase::new("failing", Weather::Failing, 2_000),
    Phase::new("down", Weather::Down, 2_500),
    Phase::new("back", Weather::Healthy, 1_500),
];

impl Phase {
    const fn new(name: &'static str, weather: Weather, millis: u64) -> Self {
        let length = Duration::from_millis(millis);
        Self {
            name,
            weather,
            length,
        }
    }
}

/// How long a day is.
pub(crate) fn length() -> Duration {
    DAY.iter().map(|phase| phase.length).sum()
}

/// The phase at `time` of the day; after its end, the last one.
pub(crate) fn phase_at(time: Duration) -> &'static Phase {
    let mut end = Duration::ZERO;
    for phase in &DAY {
        end += phase.length;
        if time < end {
            return phase;
        }
    }
    &DAY[DAY.len() - 1]
}

/// How long the healthy first phase is.
pub(crate) fn morning() -> Duration {
    DAY[0].length
}

/// When the service goes down, and when it comes back.
pub(crate) fn outage() -> (Duration, Duration) {
    let before = DAY
        .iter()
        .take_while(|phase| phase.weather != Weather::Down);
    let start = before.map(|phase| phase.length).sum();
    let outages = DAY.iter().filter(|phase| phase.weather == Weather::Down);
    (
        start,
        start + outages.map(|phase| phase.length).sum::<Duration>(),
    )
}

/// How long of the day the service has that weather.
pub(crate) fn time_spent(weather: Weather) -> Duration {
    let phases = DAY.iter().filter(|phase| phase.weather == weather);
    phases.map(|phase| phase.length).sum()
}
