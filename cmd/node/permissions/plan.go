package permissions

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Plan says which users there are to be, and what there may be in their namespace.
type Plan struct {
	// App is the application's command, for what is said to people.
	App string
	// Namespace is whose users they are.
	Namespace string
	// Account is that of the servers which they belong to; empty: the namespace, in capitals.
	Account string
	// Users are who there is; none: one of each role, named like it. They have to be all: who answers is
	// given the inboxes of those who ask.
	Users []Holder
	// Views are the models that the application has of its views, without their builds.
	Views []projector.Model
	// Buckets are the object stores of archives and backups.
	Buckets []string
	// LogStreams is the number of log streams, 1 to 64.
	LogStreams int
	// Builds is how many builds of each view there may be, and Epochs how many of the key stream, 1 to 1,000.
	Builds, Epochs int
	// Plain lets users ask without their name, too, and so as nobody.
	Plain bool
}

// Holder is who has a role.
type Holder struct{ Name, Role string }

// The most of what a plan counts.
const (
	maxLogStreams = 64
	maxBuilds     = 1000
)

// Set is the users of a namespace, with all that they may do.
type Set struct {
	App, Namespace, Account string
	Users                   []User
}

// User is a user and what it may do.
type User struct {
	Name string `json:"user"`
	Role string `json:"role"`
	// Key is the public nkey; empty: none was made.
	Key   string `json:"nkey,omitempty"`
	Seed  string `json:"seed_file,omitempty"`
	Inbox string `json:"inbox_prefix"`
	// Responses says that it may answer, for a while, where a message that it got
	// says.
	Responses bool   `json:"allow_responses,omitempty"`
	Rules     []Rule `json:"rules"`
}

// Rule is what belongs together of what a user may do, and why.
type Rule struct {
	Why       string   `json:"why"`
	Publish   []string `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
}

// name is what may be one token of a subject and the name of a file.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// CheckName refuses what cannot be the name of a user, an account or a bucket: 1 to 64 letters, digits, - and _,
// the first of which is none of these two. The error is a [*store.InvalidError].
func CheckName(what, given string) error {
	if !name.MatchString(given) {
		return &store.InvalidError{What: what, Value: given, Reason: "want 1 to 64 letters, digits, - and _, a letter or a digit first"}
	}
	return nil
}

// Set works out what every user may do. The error is a [*store.InvalidError], whose What is namespace, account,
// user, role, bucket, log-streams, builds or key-epochs.
func (p Plan) Set() (Set, error) {
	p.Account = cmp.Or(p.Account, strings.ToUpper(p.Namespace))
	if len(p.Users) == 0 {
		for _, r := range roles {
			p.Users = append(p.Users, Holder{r, r})
		}
	}
	if err := p.check(); err != nil {
		return Set{}, err
	}
	s := Set{App: p.App, Namespace: p.Namespace, Account: p.Account}
	g := p.grounds()
	for _, h := range p.Users {
		s.Users = append(s.Users, User{Name: h.Name, Role: h.Role, Inbox: inbox(h.Name), Responses: mayRespond(h.Role), Rules: g.rules(h)})
	}
	return s, nil
}

// inbox is the prefix of a user's inboxes.
func inbox(user string) string { return "_INBOX_" + user }

func (p *Plan) check() error {
	if err := store.ValidateName("namespace", p.Namespace); err != nil {
		return err
	}
	if err := CheckName("account", p.Account); err != nil {
		return err
	}
	for _, b := range p.Buckets {
		if err := CheckName("bucket", b); err != nil {
			return err
		}
	}
	if err := p.checkUsers(); err != nil {
		return err
	}
	return cmp.Or(checkNumber("log-streams", p.LogStreams, maxLogStreams), checkNumber("builds", p.Builds, maxBuilds), checkNumber("key-epochs", p.Epochs, maxBuilds))
}

func checkNumber(what string, n, most int) error {
	if n < 1 || n > most {
		return &store.InvalidError{What: what, Value: strconv.Itoa(n), Reason: "want 1 to " + strconv.Itoa(most)}
	}
	return nil
}

func (p *Plan) checkUsers() error {
	for i, h := range p.Users {
		if err := CheckName("user", h.Name); err != nil {
			return err
		}
		if err := CheckRole(h.Role); err != nil {
			return err
		}
		if slices.ContainsFunc(p.Users[:i], func(other Holder) bool { return other.Name == h.Name }) {
			return &store.InvalidError{What: "user", Value: h.Name, Reason: "there is one of that name already"}
		}
	}
	return nil
}

// Only leaves users of other roles out; without roles it leaves out nobody.
func (s *Set) Only(roles ...string) {
	if len(roles) > 0 {
		s.Users = slices.DeleteFunc(s.Users, func(u User) bool { return !slices.Contains(roles, u.Role) })
	}
}
