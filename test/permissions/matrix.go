//go:build linux

package main

// matrix is who may do what, written by hand: the generator has no part in it. The
// subjects of one way are all different. The clients come under --plain, and
// strict is what is otherwise without --plain: who may ask for anything does so under its name.
var strict = []row{
	{publishes, "loans.cmd.application.1.submit", "n1"},
	{publishes, "loans.prt.3.cmd.application.1.submit", "n1"},
	{publishes, "loans.prt.3.get.application.1", "n1"},
	{publishes, "loans.qry.outcomes.open", "n1"},
	{publishes, "loans.watch.outcomes", "n1"},
	{publishes, "loans.ctl.wait", "n1"},
	{publishes, "loans.ctl.info", "n1 pat"},
	{publishes, "loans.ctl.aggregate.history", "n1"},
	{publishes, "loans.ctl.projection.rebuild", ""},
	{publishes, "loans.ctl.dlq.skip", ""},
	{publishes, "loans.ctl.subject.forget", ""},
	{publishes, "loans.ctl.audit.record", ""},
	{publishes, "loans.as.ann.cmd.application.1.submit", "ann"},
	{publishes, "loans.as.ann.qry.outcomes.open", "ann"},
	{publishes, "loans.as.bob.cmd.application.1.submit", "bob"},
	{publishes, "loans.as.bob.qry.outcomes.open", "bob"},
	{publishes, "loans.as.olga.ctl.dlq.skip", "olga"},
	{publishes, "loans.as.petra.ctl.subject.forget", "petra"},
}
