package gateway_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// typed fails the test if an error is none that an asker may be told.
func typed(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, gateway.ErrUnauthenticated) {
		t.Fatalf("untyped error: %v", err)
	}
}

// FuzzAsker: a name in a subject is the only spelling of an asker, and what follows
// it is the path that it would be without.
func FuzzAsker(f *testing.F) {
	for _, s := range []string{"ann.cmd.account.a.open", "=20ann.ctl.info", "a=2eb.ctl.info", "ann", ".", "ann..x", "as.ann.ctl", "=FF.x", "ann.prt.3.get.account.a", "$JS.x", "*.x", "\x00.y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		principal, path, err := gateway.ParseAsker(namespace, "bank.as."+rest)
		if typed(t, err); err != nil {
			return
		}
		token, err := store.EncodeToken(principal)
		if err != nil {
			t.Fatalf("%q was accepted: %v", principal, err)
		}
		if again := "bank.as." + token + "." + path; again != "bank.as."+rest && again != "bank.as."+rest+"." {
			t.Fatalf("%q and %q are the same", again, rest)
		}
	})
}

// FuzzReadSubjects: views, keys and aggregates in subjects are those that a client
// would have written.
func FuzzReadSubjects(f *testing.F) {
	for _, s := range []string{"qry.totals.k", "qry.totals", "watch.totals.a=2Eb", "get.account.a", "qry..", "get.account", "get.a.b.c", "watch.Totals", "qry.totals.a=2eb", "prt.7.get.account.a", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, parse := range []func(string) (string, string, error){gateway.ParseQuery, gateway.ParseWatch, gateway.ParseGet} {
			name, id, err := parse(path)
			if typed(t, err); err != nil {
				continue
			}
			if err := store.ValidateName("name", name); err != nil {
				t.Fatalf("%q was accepted: %v", name, err)
			}
			if id == "" {
				continue
			}
			if _, err := store.EncodeToken(id); err != nil {
				t.Fatalf("%q was accepted: %v", id, err)
			}
		}
	})
}

// FuzzIdentity: whatever headers say, nobody becomes somebody by them but by a
// token that is verified, or where nodes speak to each other.
func FuzzIdentity(f *testing.F) {
	for _, h := range []string{
		"Annals-Authorization: Bearer t\r\n", "annals-authorization: bearer  t \r\n", "Annals-Authorization: t\r\nAnnals-Authorization: u\r\n", "Annals-Authorization: Bearer\r\n",
		"Annals-Principal: ann\r\nAnnals-Until: 2099-01-01T00:00:00Z\r\n", "Annals-Principal: %zz\r\n", "Annals-Until: x\r\n", "",
	} {
		f.Add([]byte("NATS/1.0\r\n" + h + "\r\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := nats.DecodeHeadersMsg(data)
		if err != nil {
			return
		}
		token, err := gateway.TokenOf(raw)
		if typed(t, err); token != "" && (err != nil || len(token) > 8<<10) {
			t.Fatalf("token %q, %v", token, err)
		}
		who, err := gateway.PassedIdentity(raw)
		if typed(t, err); err != nil {
			return
		}
		again, err := gateway.PassedIdentity(gateway.IdentityHeaders(who))
		if err != nil || again.Principal != who.Principal || !again.Until.Equal(who.Until.Truncate(1e9)) {
			t.Fatalf("%+v became %+v: %v", who, again, err)
		}
	})
}

// FuzzAnswer: a client that gets anything at all for an answer says so, and does
// not take it for a success that nobody reported.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"type":"io.annals.api.v1.error","code":409,"err_code":"CONFLICT","description":"x","retryable":false}`, `{"code":-1}`, `[`, "", "\x81\xa4code\x01", `{"err_code":7}`, `{"details":{"retry_after_ms":18446744073709551615}}`,
	} {
		f.Add([]byte(body), "429", "OVER_QUOTA", "application/json")
		f.Add([]byte(body), "x", "", "application/msgpack")
	}
	f.Fuzz(func(t *testing.T, body []byte, status, code, contentType string) {
		m := &nats.Msg{Data: body, Header: nats.Header{"Content-Type": {contentType}, "Nats-Service-Error-Code": {status}, "Annals-Error": {code}}}
		e := gateway.ReadError(m)
		if (e == nil) != (status == "") {
			t.Fatalf("status %q was read as %+v", status, e)
		}
		if e != nil && (e.RetryAfter() < 0 || errors.Unwrap(e) != nil && e.Error() == "" && e.Code == "") {
			t.Fatalf("%+v", e)
		}
		if e != nil && len(e.Unwrap()) == 0 {
			t.Fatalf("%+v matches nothing", e)
		}
	})
}
