package main

import "fmt"

// knocks are doors that are not the enemy's own.
type knocks struct {
	*enemy
	id  string // of an account that it knows of
	n   int
	err error
}

// knock tries all of them; it returns how many.
func (e *enemy) knock(id string) (int, error) {
	k := &knocks{enemy: e, id: id}
	if e.tenants.guarded || e.tenants.open {
		k.gateways()
		k.nodes()
	}
	k.servers()
	return k.n, k.err
}

func (k *knocks) try(kind, subject, body string, headers ...string) {
	k.n++
	k.count(kind)
	if err := k.conn.PublishMsg(message(subject, fmt.Sprintf("%s.knock.%d", k.inbox, k.n), body, headers...)); err != nil && k.err == nil {
		k.err = err
	}
}

// about is what is asked of an account, or a view.
func (k *knocks) about() string {
	return `{"aggregate":"account","id":"` + k.id + `"}`
}

// gateways tries those of the other tenant.
func (k *knocks) gateways() {
	ns := k.tenants.honest
	for _, subject := range []string{".qry.balances." + k.id, ".qry.balances", ".as.alice.qry.balances." + k.id, ".as.mallory.qry.balances"} {
		k.try("query", ns+subject, "")
	}
	for _, verb := range []string{"info", "projection.ls"} {
		k.try("control", ns+".ctl."+verb, "")
	}
	for _, verb := range []string{"aggregate.get", "aggregate.history", "aggregate.changes", "aggregate.diff"} {
		k.try("control", ns+".ctl."+verb, k.about())
		k.try("control", ns+".as.alice.ctl."+verb, k.about())
	}
	if k.tenants.open {
		return // what changes anything would tell nothing that is not known
	}
	body := `{"cents":1000000}`
	for _, subject := range []string{".cmd.account.", ".as.alice.cmd.account.", ".as.mallory.cmd.account."} {
		k.try("command", ns+subject+k.id+".deposit", body)
		k.try("command id", ns+subject+k.id+".deposit", body, "Annals-Command-Id", "alices-command")
	}
	for p := range 8 {
		k.try("command", fmt.Sprintf("%s.prt.%d.cmd.account.%s.deposit", ns, p, k.id), body)
	}
	for _, verb := range []string{"projection.pause", "projection.rebuild", "dlq.ls", "wait", "subject.get", "subject.forget", "subject.purge", "keys.rotate", "audit.record", "audit.ls"} {
		k.try("control", ns+".ctl."+verb, `{"view":"balances"}`)
	}
	k.try("watch", ns+".watch.balances", "")
	k.try("event", ns+".evt.0.account."+k.id, "forged")
	k.try("key", ns+".key."+k.id, "forged")
}

// nodes tries what nodes say to each other, and other names than its own.
func (k *knocks) nodes() {
	ns, own := k.tenants.honest, k.tenants.hostile
	k.try("node", ns+".node.node-a.ctl.info", "")
	k.try("node", ns+".node.node-a.ctl.aggregate.get", k.about())
	if k.tenants.open {
		return
	}
	k.try("node", ns+".node.node-a.ctl.subject.purge", `{"subject":"x"}`)
	k.try("node", ns+".node.node-a.prt.0.cmd.account."+k.id+".deposit", `{"cents":1}`, "Annals-Principal", "alice", "Annals-Hops", "1")
	k.try("node", own+".node.node-b.prt.0.cmd.account.x.open", `{"owner":"m"}`, "Annals-Principal", "root", "Annals-Hops", "1")
	k.try("name", own+".as.root.cmd.account.x.open", `{"owner":"m"}`)
	k.try("name", own+".cmd.account.x.open", `{"owner":"m"}`)
	k.try("name", "*.as.mallory.cmd.account.x.open", "")
	k.try("server", "$SRV.INFO", "")
	k.try("server", "$SYS.REQ.SERVER.PING", "")
}

// servers tries what JetStream answers. In an account of its own that is about what is
// its own.
func (k *knocks) servers() {
	for _, verb := range []string{"INFO", "STREAM.NAMES", "STREAM.LIST", "CONSUMER.NAMES.X", "STREAM.TEMPLATE.NAMES"} {
		k.try("stream", "$JS.API."+verb, "")
	}
	for _, stream := range k.tenants.streams {
		k.try("stream", "$JS.API.STREAM.INFO."+stream, "")
		for seq := range 4 {
			k.try("stream", "$JS.API.STREAM.MSG.GET."+stream, fmt.Sprintf(`{"seq":%d}`, seq+1))
			k.try("stream", "$JS.API.DIRECT.GET."+stream, fmt.Sprintf(`{"seq":%d}`, seq+1))
		}
		if !k.tenants.guarded {
			continue
		}
		for _, verb := range []string{"STREAM.DELETE", "STREAM.PURGE", "STREAM.SNAPSHOT"} {
			k.try("stream", "$JS.API."+verb+"."+stream, `{"deliver_subject":"`+k.inbox+`.stolen"}`)
		}
		k.try("stream", "$JS.API.CONSUMER.CREATE."+stream, `{"stream_name":"`+stream+`","config":{"deliver_subject":"`+k.inbox+`.stolen","ack_policy":"none"}}`)
		k.try("stream", "$JS.API.STREAM.CREATE.COPY", `{"name":"COPY","sources":[{"name":"`+stream+`"}]}`)
	}
}
