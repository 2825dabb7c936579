//! TLS with client certificates: who has one of the cluster's authority is heard, and nobody else, and a broker without one is not
//! believed.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clearlane_cluster::{AskOptions, ClusterOptions, ClusterSearch, Node, NodeOptions, Partitions, Registrar};
use clearlane_store::Enrolment;
use support::{Brokers, face, key, registrar_options, until};

fn openssl(folder: &Path, words: &str) -> bool {
    let mut command = Command::new("openssl");
    command.args(words.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// An authority, and a certificate of it for 127.0.0.1: `NAME-ca.pem`, `NAME.pem` and `NAME.key`. False where there is no openssl.
fn certificates(folder: &Path, name: &str) -> bool {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let made = openssl(
        folder,
        &format!("req -x509 {curve} -keyout {name}-ca.key -out {name}-ca.pem -days 2 -subj /CN={name}-authority"),
    ) && openssl(folder, &format!("req {curve} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    std::fs::write(folder.join("san.txt"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        .unwrap();
    let signed = format!(
        "x509 -req -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial -out {name}.pem -days 2 -extfile san.txt"
    );
    made && openssl(folder, &signed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_holders_of_a_certificate_of_the_authority_are_heard_and_only_such_brokers_believed() {
    let pki = tempfile::tempdir().unwrap();
    let path = |name: &str| pki.path().join(name).to_str().unwrap().to_owned();
    if !["ours", "theirs"].iter().all(|name| certificates(pki.path(), name)) {
        eprintln!("note: TLS was not tried, since there is no openssl that makes certificates");
        return;
    }
    let (certificate, private, authority) = (path("ours.pem"), path("ours.key"), path("ours-ca.pem"));
    let tls = ["--tlscert", &certificate, "--tlskey", &private, "--tlscacert", &authority, "--tlsverify"];
    let Some(brokers) = Brokers::with(1, &tls) else { return };
    let plain = || ClusterOptions::new([format!("tls://127.0.0.1:{}", brokers.brokers[0].port)]);
    let with = |own: &str, root: &str| {
        let options = plain().root_certificates(path(&format!("{root}-ca.pem")));
        options.client_certificate(path(&format!("{own}.pem")), path(&format!("{own}.key")))
    };

    let register = support::register(&brokers.path("port.register"));
    let mut opened = None;
    // A broker that has just begun may not keep streams yet.
    for _ in 0..100 {
        let options = registrar_options(&brokers);
        match Registrar::open(register.clone(), key(), &with("ours", "ours"), options).await {
            Ok(registrar) => opened = Some(registrar),
            Err(error) => eprintln!("{error}"),
        }
        if opened.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let registrar = opened.expect("the registrar is let in");
    let published = registrar.enrol(Enrolment::new("traveller").with_template(face(1))).await.unwrap();
    let node = NodeOptions::new("node", Partitions::ALL);
    let _node = Node::start(key(), &with("ours", "ours"), node).await.unwrap();
    let search = ClusterSearch::connect(key(), &with("ours", "ours")).await.unwrap();
    let ask = AskOptions::new(1).with_change(&published);
    until("a lane is answered", || async { !search.search(&face(1), &ask).await.unwrap().refers() }).await;

    for (who, options) in [
        ("nobody's certificate", plain().root_certificates(path("ours-ca.pem"))),
        ("another authority's certificate", with("theirs", "ours")),
        ("a broker of an authority that is not believed", with("ours", "theirs")),
        ("the system's authorities", plain().client_certificate(path("ours.pem"), path("ours.key"))),
    ] {
        let Err(refused) = ClusterSearch::connect(key(), &options).await else { panic!("{who} is let in") };
        assert!(refused.to_string().starts_with("cannot connect to tls://127.0.0.1:"), "{who}: {refused}");
    }
}
