//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// special is what no table of subjects can say.
type special struct {
	what    string
	allowed bool // is what is expected
	try     func(*stage) (bool, error)
}

var specials = []special{
	{"come without a key", false, (*stage).stranger},
	{"come with a key that the file does not have", false, (*stage).foreigner},
	{"a client confirms where a node's message says", true, func(s *stage) (bool, error) { return s.responds("ann") }},
	{"an operator confirms where a node's message says", true, func(s *stage) (bool, error) { return s.responds("olga") }},
	{"an auditor answers where a node's message says", false, func(s *stage) (bool, error) { return s.responds("audra") }},
	{"a node answers outside of inboxes because a client says so", false, func(s *stage) (bool, error) { return s.misled("orders.new") }},
	{"a node answers to the servers because a client says so", false, func(s *stage) (bool, error) { return s.misled("$JS.API.STREAM.DELETE.ANNALS_loans_events") }},
	{"a client hears what another is answered", false, (*stage).overheard},
	{"a projector asks under another's name, by a stream of its own", false, (*stage).asksAsAnother},
	{"a projector writes into the log, by a stream of its own", false, (*stage).writesIntoLog},
}

// trySpecials tries each.
func (s *stage) trySpecials(tell io.Writer) (t tally, err error) {
	for _, one := range specials {
		allowed, err := one.try(s)
		if err != nil {
			return t, fmt.Errorf("%s: %w", one.what, err)
		}
		t.add(allowed, one.allowed, func(was string) { fmt.Fprintf(tell, "WRONG: %s: %s\n", one.what, was) })
	}
	return t, nil
}

func (s *stage) stranger() (bool, error) {
	nc, err := nats.Connect(s.server.URL())
	return admitted(nc, err)
}

func (s *stage) foreigner() (bool, error) {
	keys, err := nkeys.CreateUser()
	if err != nil {
		return false, err
	}
	public, err := keys.PublicKey()
	if err != nil {
		return false, err
	}
	return admitted(nats.Connect(s.server.URL(), nats.Nkey(public, keys.Sign)))
}

func admitted(nc *nats.Conn, err error) (bool, error) {
	if err == nil {
		nc.Close()
		return true, nil
	}
	if errors.Is(err, nats.ErrAuthorization) {
		return false, nil
	}
	return false, err
}

const patience = 20 * time.Second

// responds reports whether a user may answer a message of a node where that says,
// which it may not before.
func (s *stage) responds(user string) (bool, error) {
	node, err := s.connect("n1")
	if err != nil {
		return false, err
	}
	defer node.Close()
	nc, err := s.connect(user)
	if err != nil {
		return false, err
	}
	defer nc.Close()
	inbox, control := nc.NewInbox(), node.NewInbox()
	if early, err := (row{way: publishes, subject: control}).try(nc); err != nil || early {
		return early, errors.Join(err, errors.New("it may before it was asked"))
	}
	sub, err := nc.SubscribeSync(inbox)
	if err == nil {
		err = errors.Join(nc.Flush(), node.PublishRequest(inbox, control+".1", nil))
	}
	if err != nil {
		return false, err
	}
	m, err := sub.NextMsg(patience)
	if err != nil {
		return false, err
	}
	return row{way: publishes, subject: m.Reply}.try(nc)
}

// misled reports whether a node may answer a client's request where it says.
func (s *stage) misled(reply string) (bool, error) {
	node, err := s.connect("n1")
	if err != nil {
		return false, err
	}
	defer node.Close()
	nc, err := s.connect("ann")
	if err != nil {
		return false, err
	}
	defer nc.Close()
	sub, err := node.SubscribeSync("loans.as.>")
	if err == nil {
		err = errors.Join(node.Flush(), nc.PublishRequest("loans.as.ann.ctl.info", reply, nil))
	}
	if err != nil {
		return false, err
	}
	m, err := sub.NextMsg(patience)
	if err != nil {
		return false, err
	}
	return row{way: publishes, subject: m.Reply}.try(node)
}

// overheard reports whether bob gets what a node answers to ann.
func (s *stage) overheard() (bool, error) {
	node, err := s.connect("n1")
	if err != nil {
		return false, err
	}
	defer node.Close()
	bob, err := s.connect("bob")
	if err != nil {
		return false, err
	}
	defer bob.Close()
	var heard []*nats.Subscription
	for _, subject := range []string{"_INBOX_ann.>", "_INBOX_ann.*", "*.*", ">"} {
		sub, err := bob.SubscribeSync(subject)
		if err != nil {
			return false, err
		}
		heard = append(heard, sub)
	}
	own, err := bob.SubscribeSync("_INBOX_bob.end")
	if err == nil {
		err = errors.Join(bob.Flush(), node.Publish("_INBOX_ann.1", nil), node.Publish("_INBOX_bob.end", nil))
	}
	if err != nil {
		return false, err
	}
	if _, err := own.NextMsg(patience); err != nil { // what came before it is there too
		return false, err
	}
	for _, sub := range heard {
		if n, _, err := sub.Pending(); err == nil && n > 0 {
			return true, nil
		}
	}
	return false, nil
}
