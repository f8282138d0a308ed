package node

import (
	"testing"

	"github.com/annals-go/annals/cluster/embedded"
)

// The first line of dev tells what NATS asks from what HTTP asks, where they differ.
func TestWhoMayComeToDev(t *testing.T) {
	t.Parallel()
	users, closed := devAccess{users: "u"}, devAccess{users: "u", tls: embedded.TLS{CertFile: "c", ClientCAFile: "ca"}}
	for _, test := range []struct {
		access devAccess
		tokens bool
		want   string
	}{
		{devAccess{}, false, "no authentication"},
		{devAccess{}, true, "no authentication on NATS, tokens on HTTP"},
		{users, false, "users of u on NATS, no authentication on HTTP"},
		{closed, true, "users of u, mutual TLS on NATS, tokens on HTTP"},
	} {
		if got := test.access.words(test.tokens); got != test.want {
			t.Errorf("%+v, tokens %v: %q, want %q", test.access, test.tokens, got, test.want)
		}
	}
}

// The line that dev says to try is one that its server lets in.
func TestTriedLineHasWhatUsersNeed(t *testing.T) {
	t.Parallel()
	const line = "nats -s tls://127.0.0.1:4222 req bank.cmd.account.7.open '{}'"
	for _, test := range []struct {
		access devAccess
		want   string
	}{
		{devAccess{}, line},
		{devAccess{tls: embedded.TLS{CertFile: "c"}}, "nats -s tls://127.0.0.1:4222 --tlsca FILE req bank.cmd.account.7.open '{}'"},
		{
			devAccess{users: "u", tls: embedded.TLS{CertFile: "c", ClientCAFile: "ca"}},
			"nats -s tls://127.0.0.1:4222 --tlsca FILE --tlscert FILE --tlskey FILE --nkey FILE --inbox-prefix _INBOX_NAME req bank.as.NAME.cmd.account.7.open '{}'",
		},
	} {
		if got := test.access.shown(line, "bank"); got != test.want {
			t.Errorf("%+v: %s, want %s", test.access, got, test.want)
		}
	}
	if got := (devAccess{users: "u"}).shown("", "bank"); got != "" {
		t.Errorf("no line became %q", got)
	}
}
