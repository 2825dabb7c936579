//! What stands at the brokers is listed, and removed by its name.

use clearlane_cluster::{
    BatchKind, ClusterError, DuplicateOptions, StandingBatch, StandingBatches, discard_batch, standing_batches,
};
use clearlane_store::Key;

use crate::support::{self, Brokers, key, registrar, until};
use crate::{context, finish, messages, node, of_a_kind, open, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_is_listed_and_goes_by_its_name_with_what_was_left_over() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let cluster = brokers.options();
    let listed = async || standing_batches(&key(), &cluster).await.unwrap();
    let discarded = async |name: &str| discard_batch(&key(), &cluster, name).await;
    let nobody = "0".repeat(32);
    assert!(!discarded(&nobody).await.unwrap());
    assert_eq!(listed().await, StandingBatches::default());

    of_a_kind(&registrar).await;
    let options = DuplicateOptions::new(0.5).block(1);
    let first = open(&brokers, options).await;
    let mut second = open(&brokers, options.others(5)).await;
    let standing = listed().await.batches;
    let is = |batch: &StandingBatch| (batch.kind, batch.of_this_gallery, batch.blocks, batch.waiting, batch.done);
    assert_eq!(standing.iter().map(is).collect::<Vec<_>>(), [(BatchKind::Duplicates, true, 5, 5, 0); 2]);
    assert_eq!((standing[0].begun, standing[1].begun), (first.begun(), second.begun()));

    // Whoever goes on with one that is removed hears of it, and the other one stays as it is.
    let name = &standing[1].name;
    assert!(discarded(name).await.unwrap() && !discarded(name).await.unwrap());
    assert!(matches!(second.advance().await, Err(ClusterError::JobRemoved)));
    let left = listed().await;
    assert_eq!((&left.batches[..], left.left_over, left.unreadable), (&standing[..1], 0, 0));

    // What a worker publishes for one that is over, what somebody with another key begins, and a result's place that is a pattern.
    let context = context(&brokers).await;
    for subject in ["results.00000000000000000000000000000000.7", "jobs.nothing"] {
        context.publish(subject, "nothing".into()).await.unwrap().await.unwrap();
    }
    let client = async_nats::connect(brokers.brokers[0].url()).await.unwrap();
    client.publish("results.>", "nothing".into()).await.unwrap();
    client.flush().await.unwrap();
    let standing = listed().await;
    assert_eq!((standing.batches.len(), standing.left_over, standing.unreadable), (1, 1, 1));
    assert!(!discarded(&nobody).await.unwrap());
    assert_eq!(listed().await, standing);
    for name in ["", "nothing", "*", ">", &"A".repeat(32), &"0".repeat(33)] {
        assert!(matches!(discarded(name).await, Err(ClusterError::Setting { .. })), "{name}");
    }
    // Whoever has another key sees no batch of this cluster, and removes nothing of it.
    let other = Key::from_bytes([8; 32]).into();
    assert!(standing_batches(&other, &cluster).await.is_err());
    assert!(discard_batch(&other, &cluster, &nobody).await.is_err());
    assert_eq!(messages(&context, "CLEARLANE_WORK").await, 5);

    // With results there, the next batch takes what is left over, and nothing of this one.
    let (_node, _worker) = (node(&brokers).await, worker(&brokers).await);
    until("the first one has its results", || async { listed().await.batches[0].done == 5 }).await;
    let third = open(&brokers, options.others(4)).await;
    let standing = listed().await;
    assert_eq!((standing.batches[0].done, standing.left_over, standing.unreadable), (5, 0, 0));
    third.remove().await.unwrap();
    assert_eq!(finish(first).await.pairs.len(), 10);
    assert_eq!(listed().await.batches, []);
}
