// Package gateway is the door of a namespace: commands in, results out, over
// plain NATS request-reply, and a Go client for it.
//
// It owns the wire: subjects, headers, JSON types, error codes ([Code]) and the
// NATS micro services annals-commands, annals-query and annals-control. It
// bounds what it takes in, checks every byte that comes from outside, and
// answers in the asker's own content type.
//
// It also owns who asks: by a subject that the NATS server guards, or by a token
// ([Authentication]); what an asker may do ([Grants], [Config.Authorize]), and how
// much ([Quotas]).
//
// It also owns the way to the node that serves a partition or runs a view: what
// arrives elsewhere is passed on, what nobody serves at the moment waits, and
// [Gateway.Serve], Hold and Pass move a partition without losing what is on its
// way.
//
// It never decides anything about a domain nor who owns what, stores nothing,
// and keeps no state that a restart would miss. It publishes to reply subjects
// and to other nodes, and to nothing else.
//
//	<ns>.cmd.<type>.<id>.<command>             a command; headers Annals-Command-Id, Annals-Schema, Annals-Expected-Version, Annals-Wait-Views …
//	<ns>.qry.<view>.<key>                      one document; header Annals-Min-Position
//	<ns>.qry.<view>                            a page of documents
//	<ns>.watch.<view>.<key>, <ns>.watch.<view>  a stream of what changes
//	<ns>.ctl.aggregate.get, .history; <ns>.ctl.projection.ls; <ns>.ctl.info; <ns>.ctl.wait
//	<ns>.ctl.projection.VERB, <ns>.ctl.dlq.VERB   an operation on one view
//	<ns>.prt.<partition>.cmd.<type>.<id>.<command>   a command, to the owner of its partition
//	<ns>.prt.<partition>.get.<type>.<id>       a state from the owner's memory; header Annals-Consistency
//	<ns>.as.<principal>.cmd.…, .prt.…, .qry.…, .watch.…, .ctl.…   the same, asked by that principal
//	<ns>.node.<name>.prt.…, .qry.…, .ctl.…     any of these, to one node
//
// A Go client binds an aggregate once and sends typed commands:
//
//	client, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: "bank"})
//	result, err := gateway.For(client, Accounts).Send(ctx, "a-1", Deposit{Cents: 100})
package gateway
