//! What stands at the brokers is listed, and removed by its name.

use clearlane_cluster::{
    BatchKind, ClusterError, DuplicateOptions, StandingBatch, StandingBatches, discard_batch, standing_batches,
};

use crate::support::{self, Brokers, key, registrar};
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

    // What a worker publishes for one that is over, and what somebody with another key begins.
    let context = context(&brokers).await;
    for subject in ["results.00000000000000000000000000000000.7", "jobs.nothing"] {
        context.publish(subject, "nothing".into()).await.unwrap().await.unwrap();
    }
    let standing = listed().await;
    assert_eq!((standing.batches.len(), standing.left_over, standing.unreadable), (1, 1, 1));
    assert!(!discarded(&nobody).await.unwrap());
    assert_eq!((listed().await.left_over, messages(&context, "CLEARLANE_WORK").await), (0, 5));
    for name in ["", "nothing", "*", ">", &"A".repeat(32), &"0".repeat(33)] {
        assert!(matches!(discarded(name).await, Err(ClusterError::Setting { .. })), "{name}");
    }

    let (_node, _worker) = (node(&brokers).await, worker(&brokers).await);
    assert_eq!(finish(first).await.pairs.len(), 10);
    let standing = listed().await;
    assert_eq!((standing.batches, standing.left_over), (Vec::new(), 0));
}
