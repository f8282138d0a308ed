package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// FuzzCommandSubject: a subject that is accepted is the only one of its
// stream and command.
func FuzzCommandSubject(f *testing.F) {
	for _, rest := range []string{
		"account.a.open", "account.a=2Eb.open", "account.a=2eb.open", "account..open", "account.a", "account.a.b.open", ".", "",
		"account.*.open", "account.>.open", "account.$JS.open", "Account.a.open", "account.a.Open", "account.=FF.open",
		"account." + strings.Repeat("x", 129) + ".open", "account.e=CC=81.open", "account.a\x00.open", "account.=.open",
	} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		subject := "bank.cmd." + rest
		stream, name, err := gateway.ParseCommandSubject(namespace, subject)
		owned, ownedName, ownedErr := gateway.ParseCommandSubject(namespace, "bank.prt.5.cmd."+rest)
		if owned != stream || ownedName != name || (err == nil) != (ownedErr == nil) {
			t.Fatalf("%v %s %v, to the owner %v %s %v", stream, name, err, owned, ownedName, ownedErr)
		}
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if err := stream.Validate(); err != nil {
			t.Fatalf("accepted %v: %v", stream, err)
		}
		token, err := store.EncodeToken(stream.ID)
		if err != nil {
			t.Fatal(err)
		}
		if again := gateway.CommandSubject(namespace, stream.Type, token, name); again != subject {
			t.Fatalf("%q and %q are the same command", subject, again)
		}
	})
}

func TestReplySubjects(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]bool{
		"_INBOX.abc.1":            true,
		"_R_.x.y":                 true,
		"app7.inbox.3":            true,
		"bank2.answers":           true,
		"bank":                    false,
		"bank.evt.1.account.a":    false,
		"bank.inbox":              false,
		"other.evt.1.account.a":   false,
		"other.cmd.account.a.b":   false,
		"other.prt.3.cmd.a.b.c":   false,
		"other.node.b.ctl.info":   false,
		"prt.node":                false,
		"other.prt":               false,
		strings.Repeat("x", 1024): true,
		strings.Repeat("x", 1025): false,
		"$JS.API.INFO":            false,
		"$KV.b.k":                 false,
		"_INBOX.*":                false,
		"_INBOX.>":                false,
		"a b":                     false,
		"a\r\nPUB x":              false,
	} {
		if got := gateway.ReplyIsSafe(namespace, reply); got != want {
			t.Errorf("%q: %v, want %v", reply, got, want)
		}
	}
}
