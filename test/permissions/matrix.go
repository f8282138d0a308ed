//go:build linux

package main

import "slices"

// matrix is who may do what, written by hand: the generator has no part in it. The
// subjects of one way are all different.
var matrix = slices.Concat(asked, controls(), kept, inboxes)

// asked are commands and questions, and what nodes say to each other.
var asked = []row{
	{publishes, "loans.cmd.application.1.submit", "n1"},
	{publishes, "loans.prt.3.cmd.application.1.submit", "n1"},
	{publishes, "loans.prt.3.get.application.1", "n1"},
	{publishes, "loans.qry.outcomes.open", "n1"},
	{publishes, "loans.watch.outcomes", "n1"},
	{publishes, "loans.as.ann.cmd.application.1.submit", "ann"},
	{publishes, "loans.as.bob.cmd.application.1.submit", "bob"},
	{publishes, "loans.as.olga.cmd.application.1.submit", ""},
	{publishes, "loans.as.petra.cmd.application.1.submit", ""},
	{publishes, "loans.as.archie.cmd.application.1.submit", ""},
	{publishes, "loans.as.n1.cmd.application.1.submit", ""},
	{publishes, "loans.as.ann.prt.3.cmd.application.1.submit", "ann"},
	{publishes, "loans.as.olga.prt.3.cmd.application.1.submit", ""},
	{publishes, "loans.as.ann.prt.3.get.application.1", "ann"},
	{publishes, "loans.as.olga.prt.3.get.application.1", "olga"},
	{publishes, "loans.as.archie.prt.3.get.application.1", ""},
	{publishes, "loans.as.ann.qry.outcomes.open", "ann"},
	{publishes, "loans.as.bob.qry.outcomes.open", "bob"},
	{publishes, "loans.as.olga.qry.outcomes.open", "olga"},
	{publishes, "loans.as.petra.qry.outcomes.open", "petra"},
	{publishes, "loans.as.audra.qry.outcomes.open", ""},
	{publishes, "loans.as.ann.watch.outcomes", "ann"},
	{publishes, "loans.as.archie.watch.outcomes", ""},
	{publishes, "loans.as.ann.node.n1.ctl.subject.purge", ""},
	{publishes, "loans.as.ann.evt.3.application.1", ""},
	{publishes, "other.cmd.application.1.submit", ""},
	{subscribes, "loans.cmd.>", "n1"},
	{subscribes, "loans.as.>", "n1"},
	{subscribes, "loans.qry.>", "n1"},
	{subscribes, "loans.watch.>", "n1"},
	{subscribes, "loans.prt.3.>", "n1"},
	{subscribes, "loans.ctl.info", "n1"},
	{subscribes, "loans.>", ""},
	{subscribes, ">", ""},

	{publishes, "loans.node.n1.prt.3.cmd.application.1.submit", "n1"},
	{publishes, "loans.node.n1.prt.3.get.application.1", "n1"},
	{publishes, "loans.node.p1.qry.outcomes.open", "n1 p1"},
	{publishes, "loans.node.p1.watch.outcomes", "n1 p1"},
	{publishes, "loans.node.n1.ctl.subject.purge", "n1"},
	{publishes, "loans.ctl.subject.purge", ""},
	{subscribes, "loans.node.n1.>", "n1 p1"},
	{publishes, "loans.ctl.cluster.changed", "n1 p1 olga"},
	{publishes, "loans.ctl.node.abc.ping", "n1 p1"},
	{subscribes, "loans.ctl.node.abc.ping", "n1 p1"},
	{subscribes, "$SRV.PING", "n1 p1"},
	{publishes, "$SRV.INFO.annals-control", "olga"},
}

// kept is what the servers keep: the log, snapshots, views, keys, archives.
var kept = []row{
	// The log.
	{publishes, "loans.evt.3.application.1", "n1 pat"},
	{publishes, "loans.evt.3.annals-audit.2026-01", "n1 pat"},
	{publishes, "loans.evt.3.annals-subject.c-7", "n1 pat"},
	{subscribes, "loans.evt.>", ""},
	{publishes, "$JS.API.STREAM.INFO.ANNALS_loans_events", "n1 p1 olga petra archie audra pat"},
	{publishes, "$JS.API.STREAM.MSG.GET.ANNALS_loans_events", "n1 p1 olga petra archie audra pat"},
	{publishes, "$JS.API.DIRECT.GET.ANNALS_loans_events", "n1 p1 olga petra archie audra pat"},
	{publishes, "$JS.API.CONSUMER.CREATE.ANNALS_loans_events.x", "p1 olga petra archie pat"},
	{publishes, "$JS.API.CONSUMER.CREATE.ANNALS_loans_events.x.loans.evt.3.application.1", "p1 olga petra archie pat"},
	{publishes, "$JS.API.CONSUMER.DURABLE.CREATE.ANNALS_loans_events.x", ""},
	{publishes, "$JS.API.CONSUMER.DELETE.ANNALS_loans_events.x", "p1 olga petra archie pat"},
	{publishes, "$JS.API.CONSUMER.MSG.NEXT.ANNALS_loans_events.x", "p1 olga petra archie pat"},
	{publishes, "$JS.ACK.ANNALS_loans_events.x.1.2.3.4.5", "p1 olga petra archie pat"},
	{publishes, "$JS.API.STREAM.CREATE.ANNALS_loans_events", "pat"},
	{publishes, "$JS.API.STREAM.UPDATE.ANNALS_loans_events", "archie pat"},
	{publishes, "$JS.API.STREAM.DELETE.ANNALS_loans_events", ""},
	{publishes, "$JS.API.STREAM.PURGE.ANNALS_loans_events", "archie"},
	{publishes, "$JS.API.STREAM.MSG.DELETE.ANNALS_loans_events", ""},
	{publishes, "$JS.API.STREAM.SNAPSHOT.ANNALS_loans_events", ""},
	{publishes, "$JS.API.STREAM.RESTORE.ANNALS_loans_events", ""},
	{publishes, "$JS.API.STREAM.LEADER.STEPDOWN.ANNALS_loans_events", "pat"},
	{publishes, "$JS.API.STREAM.CREATE.OTHER", ""},
	{publishes, "$JS.API.STREAM.DELETE.OTHER", ""},
	{publishes, "$JS.API.STREAM.INFO.ANNALS_other_events", ""},
	{publishes, "$JS.API.STREAM.LIST", "olga petra archie pat"},
	{publishes, "$JS.API.STREAM.NAMES", "n1 p1 olga petra archie pat"},
	{publishes, "annals.sync", "archie"},
	{publishes, "$JS.API.STREAM.INFO.ANNALS_loans_keys_1", "n1 p1 olga petra archie pat"},
	{publishes, "$JS.API.INFO", "n1 p1 pat"},

	// Snapshots, registry, directory, views.
	{publishes, "$KV.ANNALS_loans_snapshots.application.1", "n1 pat"},
	{publishes, "$JS.API.STREAM.MSG.GET.KV_ANNALS_loans_snapshots", "n1 p1 olga petra archie pat"},
	{publishes, "$JS.API.STREAM.PURGE.KV_ANNALS_loans_snapshots", "n1 pat"},
	{publishes, "$JS.API.STREAM.DELETE.KV_ANNALS_loans_snapshots", ""},
	{publishes, "$KV.ANNALS_loans_projections.outcomes", "n1 p1 pat"},
	{subscribes, "$KV.ANNALS_loans_projections.>", "n1 p1"},
	{publishes, "$KV.ANNALS_loans_cluster.node.n9", "n1 p1"},
	{publishes, "$KV.ANNALS_loans_cluster.cordon.n9", "n1 p1 olga"},
	{publishes, "$KV.ANNALS_loans_cluster.partition.9", "n1 p1"},
	{publishes, "$JS.API.STREAM.DELETE.KV_ANNALS_loans_cluster", "pat"},
	{publishes, "$KV.ANNALS_loans_view_outcomes_v1.d.open", "p1"},
	{subscribes, "$KV.ANNALS_loans_view_outcomes_v1.>", ""},
	{publishes, "$JS.API.STREAM.MSG.GET.KV_ANNALS_loans_view_outcomes_v1", "p1"},
	{publishes, "$JS.API.STREAM.CREATE.KV_ANNALS_loans_view_outcomes_v1_b3", "p1 pat"},
	{publishes, "$JS.API.STREAM.DELETE.KV_ANNALS_loans_view_outcomes_v1_b3", "p1"},
	{publishes, "$JS.API.STREAM.CREATE.KV_ANNALS_loans_view_outcomes_v1_b4", ""},
	{publishes, "$JS.API.STREAM.CREATE.KV_ANNALS_loans_view_strange_v1", ""},

	// Keys of personal data.
	{publishes, "loans.key.abc", "n1 pat"},
	{subscribes, "loans.key.>", ""},
	{publishes, "$JS.API.STREAM.MSG.GET.ANNALS_loans_keys_1", "n1 p1 petra archie pat"},
	{publishes, "$JS.API.DIRECT.GET.ANNALS_loans_keys_1", "n1 p1 petra archie pat"},
	{publishes, "$JS.API.DIRECT.GET.ANNALS_loans_keys_1.loans.key.abc", ""},
	{publishes, "$JS.API.STREAM.MSG.DELETE.ANNALS_loans_keys_1", "n1 pat"},
	{publishes, "$JS.API.STREAM.PURGE.ANNALS_loans_keys_1", ""},
	{publishes, "$JS.API.CONSUMER.CREATE.ANNALS_loans_keys_1.x", "n1 p1 petra archie pat"},
	{publishes, "$JS.API.STREAM.SNAPSHOT.ANNALS_loans_keys_1", ""},
	{publishes, "$JS.API.STREAM.CREATE.ANNALS_loans_keys_2", "pat"},
	{publishes, "$JS.API.STREAM.DELETE.ANNALS_loans_keys_2", "pat"},

	// Archives and backups.
	{publishes, "$O.ARCHIVE.C.x", "archie"},
	{publishes, "$JS.API.STREAM.MSG.GET.OBJ_ARCHIVE", "n1 p1 olga petra archie"},
	{publishes, "$JS.API.STREAM.PURGE.OBJ_ARCHIVE", "archie"},
	{publishes, "$JS.API.STREAM.MSG.DELETE.OBJ_ARCHIVE", "archie"},
	{publishes, "$JS.API.STREAM.DELETE.OBJ_ARCHIVE", ""},
	{publishes, "$O.OTHER.C.x", ""},
}

// inboxes: each user has its own, and only those who answer may write to them. Last, the servers themselves.
var inboxes = []row{
	{subscribes, "_INBOX_ann.x", "ann"},
	{subscribes, "_INBOX_bob.x", "bob"},
	{subscribes, "_INBOX_n1.x", "n1"},
	{subscribes, "_INBOX_p1.x", "p1"},
	{subscribes, "_INBOX_olga.x", "olga"},
	{subscribes, "_INBOX_petra.x", "petra"},
	{subscribes, "_INBOX_archie.x", "archie"},
	{subscribes, "_INBOX_audra.x", "audra"},
	{subscribes, "_INBOX_pat.x", "pat"},
	{subscribes, "_INBOX.>", ""},
	{subscribes, "*.>", ""},
	{publishes, "_INBOX_ann.x", "n1 p1"},
	{publishes, "_INBOX_n1.x", "n1 p1"},
	{publishes, "_INBOX_pat.x", "n1 p1"},
	{publishes, "_INBOX.x", ""},

	// The servers themselves.
	{publishes, "$SYS.REQ.SERVER.PING.VARZ", ""},
	{subscribes, "$SYS.>", ""},
	{publishes, "$JS.API.ACCOUNT.PURGE.LOANS", ""},
	{publishes, "$JS.API.SERVER.REMOVE", ""},
	{publishes, "$JS.API.META.LEADER.STEPDOWN", ""},
}

// plain is what is otherwise with --plain: who may ask for anything may do so without its name, too.
var plain = []row{
	{publishes, "loans.cmd.application.1.submit", "ann bob n1"},
	{publishes, "loans.prt.3.cmd.application.1.submit", "ann bob n1"},
	{publishes, "loans.prt.3.get.application.1", "ann bob n1 olga"},
	{publishes, "loans.qry.outcomes.open", "ann bob n1 olga petra"},
	{publishes, "loans.watch.outcomes", "ann bob n1 olga petra"},
	{publishes, "loans.ctl.info", "ann bob n1 olga petra archie audra pat"},
	{publishes, "loans.ctl.wait", "ann bob n1 olga petra"},
	{publishes, "loans.ctl.projection.rebuild", "olga"},
	{publishes, "loans.ctl.dlq.skip", "olga"},
	{publishes, "loans.ctl.subject.forget", "petra"},
	{publishes, "loans.ctl.audit.record", "olga petra archie pat"},
	{publishes, "loans.as.ann.cmd.application.1.submit", "ann"},
	{publishes, "loans.as.ann.ctl.subject.forget", ""},
}
