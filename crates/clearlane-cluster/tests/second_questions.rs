//! Nodes that do not answer are not buried in questions: whoever asks a second time does so within bounds.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clearlane_cluster::{AskOptions, ClusterSearch};
use futures_util::StreamExt as _;
use support::{Brokers, face, key, registrar};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_questions_are_half_as_many_as_the_first_ones_and_one_beyond_that() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let _registrar = registrar(&brokers, &register).await;
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();

    // A node that hears every question and answers none.
    let client = async_nats::connect(brokers.brokers[0].url()).await.unwrap();
    let mut questions = client.subscribe("ask.*").await.unwrap();
    client.flush().await.unwrap();
    let heard = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        while questions.next().await.is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });

    let hedge = Duration::from_millis(2);
    let options = AskOptions { budget: Duration::from_millis(100), hedge, ..AskOptions::new(1) };
    let rounds = 40;
    for number in 0..rounds {
        assert!(search.search(&face(number), &options).await.unwrap().refers());
    }
    let first = rounds * u64::from(search.partitions());
    let heard = heard.load(Ordering::Relaxed);
    let beyond = u64::from(search.partitions());
    // Five more would have been asked of each within its time.
    assert!(
        (first + beyond..=first + first / 2 + beyond).contains(&heard),
        "{heard} questions, {first} of them first ones"
    );
}
