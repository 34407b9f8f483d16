//! What a server refuses: each has its typed error, and none leaks a secret.

use super::*;

async fn refused(url: &str) -> StoreError {
    RedisStore::connect(url).await.unwrap_err()
}

fn problem(error: &StoreError) -> String {
    let told = format!("{error} {error:?}");
    for secret in ["alice", "hunter2", "tenant", "127.0.0.1"] {
        assert!(!told.contains(secret), "{told}");
    }
    told
}

#[tokio::test]
async fn nobody_there() {
    let url = format!(
        "redis://alice:hunter2@127.0.0.1:{}/",
        steadfast_servers::free_port()
    );
    let error = refused(&url).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(problem(&error).contains("refused"), "{error}");
}

#[tokio::test]
async fn something_else_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut peer, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        std::io::copy(&mut peer, &mut std::io::sink())
    });
    let error = refused(&url).await;
    assert!(problem(&error).contains("no Redis server"), "{error}");
}

#[tokio::test]
async fn somebody_there_who_says_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    let start = Instant::now();
    let error = refused(&url).await;
    assert!(
        problem(&error).contains("no answer within 500ms"),
        "{error}"
    );
    // Ten deadlines are half a second; the rest is for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn settings_that_cannot_be() {
    let server = RedisServer::start();
    let builder = || RedisStore::builder(&server.url());
    for (builder, told) in [
        (builder().deadline(Duration::ZERO), "`deadline`"),
        (builder().deadline(Duration::from_secs(61)), "`deadline`"),
        (builder().deadline(Duration::MAX), "`deadline`"),
        (builder().connections(0), "`connections`"),
        (builder().connections(65), "`connections`"),
        (builder().key_prefix("a{b"), "`key_prefix`"),
    ] {
        let error = builder.lazy().unwrap_err();
        assert!(matches!(error, StoreError::BadSetting { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
    assert!(matches!(
        RedisStore::lazy("redis://"),
        Err(StoreError::BadUrl { .. })
    ));
    let error = refused(&format!("{}99", server.url())).await;
    assert!(error.to_string().contains("no database"), "{error}");
}

#[tokio::test]
async fn users_and_passwords() {
    let builder = RedisServer::builder().password("hunter2");
    let server = builder.user("alice", "h@nter:2", "~* +@all").start();
    for url in [
        format!("redis://127.0.0.1:{}/", server.port()),
        server.url_as("", "wrong"),
        server.url_as("alice", "wrong"),
        server.url_as("bob", "hunter2"),
    ] {
        let error = refused(&url).await;
        assert!(matches!(error, StoreError::Login { .. }), "{error}");
        problem(&error);
    }
    for (user, password) in [
        ("", "hunter2"),
        ("default", "hunter2"),
        ("alice", "h@nter:2"),
    ] {
        let url = server.url_as(user, password);
        let store = RedisStore::connect(&url).await.unwrap();
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_password_where_none_is_wanted() {
    let server = RedisServer::start();
    let error = refused(&server.url_as("", "hunter2")).await;
    assert!(problem(&error).contains("without one"), "{error}");
}

#[tokio::test]
async fn refused_logins_are_few() {
    let server = RedisServer::builder().password("hunter2").start();
    let way = FaultProxy::to(server.port());
    let url = format!("redis://:wrong@127.0.0.1:{}/", way.port());
    let store = RedisStore::lazy(&url).unwrap();
    eventually("the refusal is known", || {
        !matches!(store.health().status, StoreStatus::Connecting)
    });
    // What is counted is what happens in a time.
    std::thread::sleep(Duration::from_millis(1_500));
    // At once, after 0.5 to 1 s, and 1 to 2 s later.
    assert!(
        (1..=3).contains(&way.connections()),
        "{}",
        way.connections()
    );
    assert!(matches!(
        store.health().status,
        StoreStatus::Down {
            cause: StoreError::Login { .. },
            ..
        }
    ));
}

#[tokio::test]
async fn permissions_that_are_lacking() {
    let server = RedisServer::start();
    for (user, rules, told) in [
        ("a", "~* +@all -evalsha -eval", "`eval`"),
        ("b", "~* +@all -incrby", "command"),
        ("c", "~other:* +@all", "keys"),
    ] {
        let mut command = vec!["ACL", "SETUSER", user, "on", ">hunter2"];
        command.extend(rules.split(' '));
        server.command(&command);
        let url = server.url_as(user, "hunter2");
        let store = RedisStore::connect(&url).await.unwrap();
        let error = add(&store, "{tenant}", 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Forbidden { .. }), "{error}");
        assert!(problem(&error).contains(told), "{error}");
        // It is the user's alone: the store is there.
        assert!(store.is_up());
        assert_eq!((store.health().errors, store.health().outages), (1, 0));
    }
    assert_eq!(number(&server, "steadfast:{tenant}"), 0);
}

#[tokio::test]
async fn a_user_who_may_do_no_more_than_needed() {
    let server = RedisServer::start();
    let rules = "~steadfast:* +evalsha +eval +incrby +time";
    let mut command = vec!["ACL", "SETUSER", "least", "on", ">pw"];
    command.extend(rules.split(' '));
    server.command(&command);
    let store = RedisStore::connect(&server.url_as("least", "pw"))
        .await
        .unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    server.command(&["CLIENT", "KILL", "USER", "least"]);
    eventually("a new connection", || store.health().connections == 2);
    assert_eq!(sum(add(&store, "{k}", 1).await), 2);
}

#[tokio::test]
async fn a_key_that_holds_something_else() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    server.command(&["RPUSH", "steadfast:{tenant}", "x"]);
    assert_eq!(add(&store, "{tenant}", 1).await, Err(StoreError::WrongType));
    assert_eq!(sum(add(&store, "{other}", 1).await), 1);
    assert!(store.is_up());
}

#[tokio::test]
async fn a_full_server_still_lets_go() {
    static DELETE: Script = Script {
        name: "delete",
        lua: "return {redis.call('DEL', KEYS[1])}",
        twin: |_, _| Ok(Vec::new()),
    };
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(add(&store, "{k}", 1).await, Err(StoreError::Full));
    let delete = ask(&store, |done| {
        Job::new(&DELETE, vec![b"{k}".to_vec()], Vec::new(), done)
    });
    assert_eq!(sum(delete.await), 1);
    assert!(store.is_up());
}

#[tokio::test]
async fn mistakes_of_a_script() {
    static WRONG: Script = Script {
        name: "wrong",
        lua: "return redis.call('NOSUCH', KEYS[1])",
        twin: |_, _| Ok(Vec::new()),
    };
    static NESTED: Script = Script {
        name: "nested",
        lua: "return {{1}}",
        twin: |_, _| Ok(Vec::new()),
    };
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let keys = || vec![b"{tenant}".to_vec()];
    for _ in 0..2 {
        let error = ask(&store, |done| Job::new(&WRONG, keys(), Vec::new(), done))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Server { .. }), "{error}");
        problem(&error);
        let nested = ask(&store, |done| Job::new(&NESTED, keys(), Vec::new(), done)).await;
        assert_eq!(nested, Err(StoreError::BadReply));
    }
}
