//! Kafka: librdkafka's cluster, which listens on real ports and speaks the real protocol, in this process.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::{BOUND, EVENTS, had, history, lives};

const PARTITIONS: i32 = 3;

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("events", PARTITIONS, 1).unwrap();
    cluster
}

/// All that is in the topic, partition by partition.
fn lines(brokers: &str) -> Vec<String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "test");
    let reader: BaseConsumer = config.create().unwrap();
    let mut all = Vec::new();
    for partition in 0..PARTITIONS {
        let bound = Duration::from_secs(20);
        let (low, high) = reader.fetch_watermarks("events", partition, bound).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("events", partition, Offset::Offset(low)).unwrap();
        reader.assign(&list).unwrap();
        let (mut next, until) = (low, Instant::now() + BOUND);
        while next < high {
            assert!(Instant::now() < until, "partition {partition} ends at {next}, not {high}");
            if let Some(message) = reader.poll(Duration::from_millis(100)) {
                let message = message.unwrap();
                next = message.offset() + 1;
                all.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_has_each_event_though_relays_are_killed() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let file = history().await;
    lives(&file, &format!("kafka {brokers}"), |_| ()).await;
    let lines = tokio::task::spawn_blocking(move || lines(&brokers)).await.unwrap();
    // What a killed relay had sent and not written down is there again, with the same id.
    let again = had(&lines);
    assert!(lines.len() == EVENTS as usize + again);
}
