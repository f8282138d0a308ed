//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nkeys"
)

// plant is a grant that nobody should have, or one that is missing.
type plant struct {
	user    string
	way     way
	subject string
	taken   bool // it is taken away, and else given
}

// plants are mistakes that a generator could make.
var plants = []plant{
	{user: "audra", way: publishes, subject: "loans.cmd.>"},
	{user: "ann", way: publishes, subject: "loans.as.*.>"},
	{user: "ann", way: publishes, subject: "loans.as.ann.>"},
	{user: "ann", way: publishes, subject: "loans.as.ann.ctl.subject.forget"},
	{user: "ann", way: publishes, subject: "loans.as.ann.ctl.projection.pause"},
	{user: "ann", way: publishes, subject: "loans.as.ann.ctl.dlq.skip"},
	{user: "ann", way: publishes, subject: "loans.as.ann.ctl.audit.record"},
	{user: "ann", way: publishes, subject: "loans.as.ann.ctl.aggregate.history"},
	{user: "bob", way: subscribes, subject: "_INBOX_ann.>"},
	{user: "n1", way: publishes, subject: "$JS.API.STREAM.DELETE.*"},
	{user: "olga", way: publishes, subject: "$JS.API.STREAM.MSG.GET.*"},
	{user: "olga", way: publishes, subject: "$JS.API.STREAM.PURGE.ANNALS_loans_events"},
	{user: "olga", way: publishes, subject: "loans.ctl.projection.*"},
	{user: "olga", way: publishes, subject: "loans.as.petra.ctl.>"},
	{user: "olga", way: publishes, subject: "loans.as.olga.ctl.subject.*"},
	{user: "p1", way: publishes, subject: "loans.evt.>"},
	{user: "p1", way: publishes, subject: "loans.evt.*.annals-audit.*"},
	{user: "p1", way: publishes, subject: "loans.node.*.ctl.>"},
	{user: "p1", way: publishes, subject: "loans.key.>"},
	{user: "p1", way: publishes, subject: buildMade},
	{user: "archie", way: publishes, subject: "loans.key.>"},
	{user: "archie", way: publishes, subject: "loans.as.archie.ctl.dlq.*"},
	{user: "audra", way: publishes, subject: "$JS.API.CONSUMER.CREATE.>"},
	{user: "audra", way: publishes, subject: "loans.as.audra.ctl.audit.*"},
	{user: "pat", way: subscribes, subject: "loans.>"},
	{user: "n1", way: publishes, subject: "loans.evt.>", taken: true},
	{user: "audra", way: publishes, subject: "loans.as.audra.ctl.aggregate.history", taken: true},
	{user: "petra", way: publishes, subject: "loans.as.petra.ctl.subject.forget", taken: true},
	{user: "n1", way: publishes, subject: "$JS.API.STREAM.NAMES", taken: true},
	{user: "pat", way: publishes, subject: "$O.BACKUPS.>"},
	{user: "pat", way: publishes, subject: "$JS.API.STREAM.MSG.GET.OBJ_BACKUPS", taken: true},
}

// into changes the file's text. A user is known by its key.
func (p plant) into(text, keys string) (string, error) {
	seed, err := os.ReadFile(keys + "/" + p.user + ".nk")
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return "", err
	}
	key, err := pair.PublicKey()
	if err != nil {
		return "", err
	}
	before, rest, is := strings.Cut(text, "nkey: "+key)
	start, list, has := strings.Cut(rest, string(p.way)+": { allow: [")
	if !is || !has {
		return "", fmt.Errorf("plant %v: the file does not have the user's list", p)
	}
	grant := fmt.Sprintf("%q", p.subject)
	if p.taken {
		front, back, found := strings.Cut(list, grant)
		if !found {
			return "", fmt.Errorf("plant %v: it is not there to be taken", p)
		}
		list = front + back
	} else {
		list = "\n" + grant + list
	}
	return before + "nkey: " + key + start + string(p.way) + ": { allow: [" + list, nil
}
