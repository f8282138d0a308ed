package gateway

import (
	"strings"

	"github.com/annals-go/annals/store"
)

// subjects are the subjects of a namespace.
type subjects struct{ namespace string }

func (s subjects) commands() string           { return s.namespace + ".cmd." }
func (s subjects) queries() string            { return s.namespace + ".qry." }
func (s subjects) control(verb string) string { return s.namespace + ".ctl." + verb }
func (s subjects) view(name string) string    { return s.queries() + name }
func (s subjects) document(view, token string) string {
	return s.queries() + view + "." + token
}

func (s subjects) command(typ, token, name string) string {
	return s.commands() + typ + "." + token + "." + name
}

// parseCommand reads <ns>.cmd.TYPE.ID.COMMAND. The error matches
// [store.ErrInvalid] or, for an id, [store.ErrTooLarge].
func (s subjects) parseCommand(subject string) (store.StreamID, string, error) {
	rest := strings.TrimPrefix(subject, s.commands())
	typ, rest, _ := strings.Cut(rest, ".")
	token, name, found := strings.Cut(rest, ".")
	if !found || strings.Contains(name, ".") {
		return store.StreamID{}, "", &store.InvalidError{What: "subject", Value: subject, Reason: "want " + s.command("TYPE", "ID", "COMMAND")}
	}
	if err := store.ValidateName("aggregate type", typ); err != nil {
		return store.StreamID{}, "", err
	}
	if err := store.ValidateName("command", name); err != nil {
		return store.StreamID{}, "", err
	}
	id, err := store.DecodeToken(token)
	return store.StreamID{Type: typ, ID: id}, name, err
}

// parseQuery reads <ns>.qry.VIEW or <ns>.qry.VIEW.KEY; key is empty for the
// former. The error matches [store.ErrInvalid] or [store.ErrTooLarge].
func (s subjects) parseQuery(subject string) (view, key string, err error) {
	view, token, hasKey := strings.Cut(strings.TrimPrefix(subject, s.queries()), ".")
	if err := store.ValidateName("view", view); err != nil {
		return "", "", err
	}
	if !hasKey {
		return view, "", nil
	}
	key, err = store.DecodeToken(token)
	return view, key, err
}

// replyIsSafe reports whether an answer may be published to a reply subject
// that an asker chose. A gateway may publish where an asker may not, so a reply
// subject must not turn an answer into an event, a command or an instruction to
// the server: nothing in this namespace, nothing that looks like the log or the
// services of another one, nothing that NATS reserves, no wildcard.
func replyIsSafe(namespace, reply string) bool {
	if strings.HasPrefix(reply, "$") || strings.ContainsAny(reply, "*> \t\r\n\x00") {
		return false
	}
	first, rest, _ := strings.Cut(reply, ".")
	second, _, _ := strings.Cut(rest, ".")
	if first == namespace {
		return false
	}
	switch second {
	case "evt", "cmd", "qry", "ctl":
		return false
	}
	return true
}
