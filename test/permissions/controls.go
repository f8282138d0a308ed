//go:build linux

package main

import (
	"slices"
	"strings"
)

// control is a control verb, and who may ask for it under its own name.
type control struct {
	verb string
	who  string
	// between says who may ask another node for it, and without says which users may
	// ask for it without a name.
	between, without string
}

// verbs are all control verbs. One that the gateway answers and that is not here fails the run.
var verbs = []control{
	{verb: "aggregate.changes", who: "olga petra audra", between: "n1", without: "n1"},
	{verb: "aggregate.diff", who: "olga petra audra", between: "n1", without: "n1"},
	{verb: "aggregate.get", who: "olga petra audra", between: "n1", without: "n1"},
	{verb: "aggregate.history", who: "olga petra audra", between: "n1", without: "n1"},
	{verb: "audit.record", who: "olga petra archie pat", between: "n1"},
	{verb: "dlq.edit", who: "olga", between: "n1 p1"},
	{verb: "dlq.get", who: "olga petra", between: "n1 p1"},
	{verb: "dlq.ls", who: "olga petra", between: "n1 p1"},
	{verb: "dlq.retry", who: "olga", between: "n1 p1"},
	{verb: "dlq.skip", who: "olga", between: "n1 p1"},
	{verb: "dlq.skipped", who: "olga", between: "n1 p1"},
	{verb: "info", who: "ann bob olga petra archie audra pat", between: "n1", without: "n1 pat"},
	{verb: "projection.cancel", who: "olga", between: "n1 p1"},
	{verb: "projection.held", who: "petra", between: "n1 p1"},
	{verb: "projection.info", who: "olga", between: "n1 p1"},
	{verb: "projection.ls", who: "olga petra audra", between: "n1 p1", without: "n1"},
	{verb: "projection.pause", who: "olga", between: "n1 p1"},
	{verb: "projection.promote", who: "olga", between: "n1 p1"},
	{verb: "projection.rebuild", who: "olga", between: "n1 p1"},
	{verb: "projection.resume", who: "olga", between: "n1 p1"},
	{verb: "projection.retire", who: "olga", between: "n1 p1"},
	{verb: "projection.rewind", who: "olga", between: "n1 p1"},
	{verb: "projection.rollback", who: "olga", between: "n1 p1"},
	{verb: "projection.verify", who: "olga", between: "n1 p1"},
	{verb: "subject.forget", who: "petra", between: "n1", without: "n1"},
	{verb: "subject.get", who: "petra", between: "n1", without: "n1"},
	{verb: "subject.ls", who: "petra", between: "n1", without: "n1"},
	{verb: "wait", who: "ann bob olga petra", between: "n1 p1", without: "n1"},
}

// controls are the rows of the control verbs: under each user's name, under none, and on a node's own subject.
func controls() []row {
	var rows []row
	for _, c := range verbs {
		for _, user := range names() {
			r := row{publishes, "loans.as." + user + ".ctl." + c.verb, ""}
			if slices.Contains(strings.Fields(c.who), user) {
				r.who = user
			}
			rows = append(rows, r)
		}
		rows = append(rows, row{publishes, "loans.ctl." + c.verb, c.without}, row{publishes, "loans.node.n1.ctl." + c.verb, c.between})
	}
	return rows
}

// covers reports whether a row tries what an endpoint takes in.
func covers(rows []row, endpoint string) bool {
	front, all := strings.CutSuffix(endpoint, ">")
	return slices.ContainsFunc(rows, func(r row) bool {
		return r.way == publishes && (r.subject == endpoint || all && strings.HasPrefix(r.subject, front))
	})
}

// untried are the ways to an endpoint that no row tries, for a client under its name and for whoever has none.
func untried(endpoint string) []string {
	rest, _ := strings.CutPrefix(endpoint, namespace+".")
	ways := []string{endpoint}
	if !strings.HasPrefix(rest, "node.") { // which takes no names
		ways = append(ways, namespace+".as.ann."+rest)
	}
	return slices.DeleteFunc(ways, func(way string) bool { return covers(matrix, way) })
}
