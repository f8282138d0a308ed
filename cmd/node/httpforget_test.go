package node_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store/privacy"
)

// Over HTTP a person is forgotten by whose token is a privacy officer's, and by nobody else; the receipt and the
// audit log name who it was.
func TestForgettingOverHTTP(t *testing.T) {
	t.Parallel()
	file, tokens, lines := filepath.Join(t.TempDir(), "tokens"), map[string]string{}, ""
	for _, role := range []string{"client", "viewer", "operator", "privacy-officer"} {
		token, line := makeToken(t, role, "the "+role)
		tokens[role], lines = token, lines+line+"\n"
	}
	writeFile(t, file, lines)
	at := startDev(t, people, "--http-tokens", file)
	ask := func(role, method, path, body string) (int, string) {
		status, text, _ := fetch(t, http.DefaultClient, method, at.HTTP+path, tokens[role], body)
		return status, text
	}
	const forget = "/v1/subjects/m-1/forget"
	if status, text := ask("client", "POST", "/v1/commands/member/1/join", `{"number":"m-1","name":"MARKERann"}`); status != 200 {
		t.Fatal(text)
	}
	why := `{"why":"asked for it"}`
	for role, want := range map[string]int{"": 401, "client": 403, "viewer": 403, "operator": 403} {
		for path, method := range map[string]string{forget: "POST", "/v1/subjects/m-1": "GET", "/v1/subjects": "GET"} {
			if status, text := ask(role, method, path, why); status != want {
				t.Errorf("%s %s as %q: %d %s", method, path, role, status, text)
			}
		}
	}
	if status, text := ask("privacy-officer", "POST", forget, `{}`); status != 400 || !strings.Contains(text, "why") {
		t.Errorf("without a reason: %d %s", status, text)
	}
	if status, text := ask("privacy-officer", "GET", "/v1/aggregates/member/1", ""); status != 200 || !strings.Contains(text, "MARKERann") {
		t.Fatalf("before: %d %s", status, text)
	}
	id := uuid.NewString()
	var first privacy.Receipt
	for range 2 { // the same request once more has the same receipt
		status, text := ask("privacy-officer", "POST", forget, `{"why":"asked for it","id":"`+id+`"}`)
		var r privacy.Receipt
		if err := json.Unmarshal([]byte(text), &r); err != nil || status != 200 || r.ID.String() != id || r.By != "the privacy-officer" || r.Why != "asked for it" || !r.Done || r.Key == "" {
			t.Fatalf("%d %s %v", status, text, err)
		}
		if first.Key == "" {
			first = r
		}
		if r.Key != first.Key || !r.At.Equal(first.At) || r.Notice != first.Notice {
			t.Errorf("again: %+v, first %+v", r, first)
		}
	}
	if status, text := ask("privacy-officer", "GET", "/v1/subjects/m-1", ""); status != 200 || !strings.Contains(text, `"done":true`) || strings.Contains(text, `"wrapped_by"`) {
		t.Errorf("after: %d %s", status, text)
	}
	for path, want := range map[string]string{"/v1/subjects": `"subjects":[{"subject":"m-1","erased":[{`, "/v1/subjects?after=m-1": `"subjects":[],"next":""`} {
		if status, text := ask("privacy-officer", "GET", path, ""); status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/v1/aggregates/member/1", "/v1/aggregates/member/1/history"} {
		if status, text := ask("privacy-officer", "GET", path, ""); status != 200 || strings.Contains(text, "MARKER") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	var acts strings.Builder
	code := node.Run(t.Context(), people, node.Streams{Out: &acts, Err: io.Discard}, "-s", at.NATS, "audit", "ls", "--by", "the privacy-officer", "--jq", "[.action, .what, .why, .outcome]")
	for _, want := range []string{`["subject.forget","m-1","asked for it","done"]`, `["subject.forgotten","m-1","asked for it","done"]`} {
		if code != 0 || !strings.Contains(acts.String(), want) {
			t.Errorf("audit ls: %d, want %s in\n%s", code, want, acts.String())
		}
	}
}

// A system without personal data says so.
func TestForgettingOverHTTPWithoutPersonalData(t *testing.T) {
	t.Parallel()
	token, line := makeToken(t, "privacy-officer", "petra")
	file := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, file, line+"\n")
	at := startDev(t, bank, "--http-tokens", file)
	status, text, _ := fetch(t, http.DefaultClient, "POST", at.HTTP+"/v1/subjects/m-1/forget", token, `{"why":"asked for it"}`)
	if status != http.StatusNotFound || !strings.Contains(text, "no personal data") {
		t.Errorf("%d %s", status, text)
	}
}
