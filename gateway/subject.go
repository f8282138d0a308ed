package gateway

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// subjects are the subjects of a namespace. What a subject asks for is its
// path, such as cmd.TYPE.ID.COMMAND or qry.VIEW; the path may stand behind the
// partition that it is about, and both behind the node that they are passed to.
type subjects struct{ namespace string }

// The first tokens of paths.
const (
	pathCommand = "cmd."
	pathGet     = "get."
	pathQuery   = "qry."
	pathControl = "ctl."
	pathWatch   = "watch."
	pathAs      = "as."
)

func (s subjects) commands() string           { return s.namespace + "." + pathCommand }
func (s subjects) queries() string            { return s.namespace + "." + pathQuery }
func (s subjects) control(verb string) string { return s.namespace + "." + pathControl + verb }
func (s subjects) view(name string) string    { return s.queries() + name }
func (s subjects) document(view, token string) string {
	return s.queries() + view + "." + token
}

func (s subjects) command(typ, token, name string) string {
	return s.commands() + typ + "." + token + "." + name
}

// as is what the subjects begin with of one asker, whom its token names.
func (s subjects) as(token string) string { return s.namespace + "." + pathAs + token + "." }

// asAny is what follows a prefix of subjects, for every asker.
func (s subjects) asAny(subject string) string {
	return s.as("*") + strings.TrimPrefix(subject, s.namespace+".")
}

// partitions is what all subjects of the partitions' owners begin with.
func (s subjects) partitions() string { return s.namespace + ".prt." }

// partition is what the subjects of one partition's owner begin with.
func (s subjects) partition(n int) string { return s.partitions() + strconv.Itoa(n) + "." }

// get is the subject of the state of an instance.
func (s subjects) get(partition int, typ, token string) string {
	return s.partition(partition) + pathGet + typ + "." + token
}

// node is what the subjects of one node begin with.
func (s subjects) node(name string) string { return s.namespace + ".node." + name + "." }

// passed is the subject under which one node passes a partition's path on to
// another.
func (s subjects) passed(node string, partition int, path string) string {
	return s.node(node) + "prt." + strconv.Itoa(partition) + "." + path
}

// asker cuts as.PRINCIPAL off a subject of this namespace.
func (s subjects) asker(subject string) (principal, rest string, err error) {
	named, found := strings.CutPrefix(subject, s.namespace+"."+pathAs)
	if !found {
		return "", subject, nil
	}
	token, path, _ := strings.Cut(named, ".")
	if principal, err = store.DecodeToken(token); err != nil {
		return "", subject, fmt.Errorf("principal: %w", err)
	}
	return principal, s.namespace + "." + path, nil
}

// path cuts prefix, and the partition's number if one follows, off a subject. One that does not begin so is
// [store.ErrInvalid]: a server can send a message with another subject than that which it comes under.
// The number is not looked at further: a gateway computes the partition itself.
func (s subjects) path(subject, prefix string) (string, error) {
	path, below := strings.CutPrefix(subject, prefix)
	if !below {
		return "", &store.InvalidError{What: "subject", Value: subject, Reason: "it is not below " + prefix}
	}
	numbered, found := strings.CutPrefix(path, "prt.")
	if !found {
		return path, nil
	}
	number, path, found := strings.Cut(numbered, ".")
	if !found || !isDecimal(number) {
		return "", &store.InvalidError{What: "subject", Value: subject, Reason: "want a partition's number after prt"}
	}
	return path, nil
}

// isDecimal accepts a number of at most 9 digits.
func isDecimal(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 9
}

// parseCommand reads cmd.TYPE.ID.COMMAND. The error matches [store.ErrInvalid]
// or, for an id, [store.ErrTooLarge].
func (s subjects) parseCommand(path string) (stream store.StreamID, name string, err error) {
	rest, is := strings.CutPrefix(path, pathCommand)
	typ, rest, _ := strings.Cut(rest, ".")
	token, name, found := strings.Cut(rest, ".")
	if !is || !found || strings.Contains(name, ".") {
		return stream, "", &store.InvalidError{What: "subject", Value: path, Reason: "want " + s.command("TYPE", "ID", "COMMAND")}
	}
	if err := store.ValidateName("aggregate type", typ); err != nil {
		return stream, "", err
	}
	if err := store.ValidateName("command", name); err != nil {
		return stream, "", err
	}
	id, err := store.DecodeToken(token)
	return store.StreamID{Type: typ, ID: id}, name, err
}

// parseGet reads get.TYPE.ID, likewise.
func (subjects) parseGet(path string) (stream store.StreamID, err error) {
	typ, token, found := strings.Cut(strings.TrimPrefix(path, pathGet), ".")
	if !found {
		return stream, &store.InvalidError{What: "subject", Value: path, Reason: "want get.TYPE.ID"}
	}
	if err := store.ValidateName("aggregate type", typ); err != nil {
		return stream, err
	}
	id, err := store.DecodeToken(token)
	return store.StreamID{Type: typ, ID: id}, err
}

// parseQuery reads qry.VIEW or qry.VIEW.KEY, likewise; key is empty for the
// former.
func (subjects) parseQuery(path string) (view, key string, err error) {
	view, token, hasKey := strings.Cut(strings.TrimPrefix(path, pathQuery), ".")
	if err := store.ValidateName("view", view); err != nil {
		return "", "", err
	}
	if !hasKey {
		return view, "", nil
	}
	key, err = store.DecodeToken(token)
	return view, key, err
}

// maxReplyName bounds a reply subject, in bytes. A server ends the connection
// of whoever publishes to a subject that is far longer.
const maxReplyName = 1024

// replyIsSafe reports whether an answer may be published to a reply subject
// that an asker chose. A gateway may publish where an asker may not, so a reply
// subject must not turn an answer into an event, a command or an instruction to
// the server: nothing in this namespace, nothing that looks like the log or the
// services of another one, nothing that NATS reserves, no wildcard.
func replyIsSafe(namespace, reply string) bool {
	if strings.HasPrefix(reply, "$") || strings.ContainsAny(reply, "*> \t\r\n\x00") || len(reply) > maxReplyName {
		return false
	}
	first, rest, _ := strings.Cut(reply, ".")
	second, _, _ := strings.Cut(rest, ".")
	if first == namespace {
		return false
	}
	switch second {
	case "evt", "cmd", "qry", "ctl", "prt", "node", "watch", "as", "key":
		return false
	}
	return true
}
