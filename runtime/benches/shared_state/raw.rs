//! What one would write by hand: a script of one's own, run for each call over redis-rs.

use redis::{Script, aio::MultiplexedConnection};

pub(crate) struct Raw {
    connection: MultiplexedConnection,
    script: Script,
}

/// A token bucket as a single time, in microseconds.
const GCRA: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, tau = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
if arrival - now > tau then
  return {0, arrival - now - tau}
end
redis.call('SET', KEYS[1], string.format('%.0f', arrival + interval), 'PX', 60000)
return {1, 0}
";

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let raw = Self {
            connection,
            script: Script::new(GCRA),
        };
        raw.decide("first").await;
        raw
    }

    pub(crate) async fn ping(&self) {
        let mut connection = self.connection.clone();
        let () = redis::cmd("PING")
            .query_async(&mut connection)
            .await
            .unwrap();
    }

    pub(crate) async fn decide(&self, key: &str) {
        let mut connection = self.connection.clone();
        let (allowed, _): (u8, u64) = self
            .script
            .key(key)
            .arg(1)
            .arg(1_000_000_000_u64)
            .invoke_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(allowed, 1);
    }

    /// Commands that the server has run so far, scripts as one; this question not counted.
    pub(crate) async fn commands(&self) -> u64 {
        let mut connection = self.connection.clone();
        let mut info = redis::cmd("INFO");
        let text: String = info
            .arg("commandstats")
            .query_async(&mut connection)
            .await
            .unwrap();
        let calls = text.lines().filter_map(|line| {
            let (command, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let is_of_client = command == "evalsha" || command == "eval";
            let calls: u64 = figures.split(',').next()?.parse().ok()?;
            is_of_client.then_some(calls)
        });
        calls.sum()
    }
}
