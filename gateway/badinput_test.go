package gateway_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// A bad input passes when it gets a typed answer, the connection stays up, and
// nothing is stored.

const block = "NATS/1.0\r\n"

// stillGood checks what must hold after bad input.
func (b *bank) stillGood(t *testing.T, raw *rawConn) {
	t.Helper()
	if tip, err := b.log.Tip(t.Context()); err != nil || tip != 0 {
		t.Errorf("the log ends at %d: %v", tip, err)
	}
	if code, m := raw.request(t, "bank.cmd.account.good.open", "", `{"owner":"Ann"}`); code != 200 {
		t.Errorf("a good command afterwards: %d %s", code, m.Data)
	}
}

func TestBadIDsAndSubjects(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	command := func(id string) string { return "bank.cmd.account." + id + ".open" }
	for _, c := range []struct {
		what, subject string
		want          int
	}{
		{"wildcard", command("*"), 400},
		{"wildcard for the rest", command(">"), 400},
		{"too many tokens", command("a.b"), 400},
		{"a token and a wildcard", command("a.*"), 400},
		{"a subject of JetStream", command("$JS.API.STREAM.DELETE.X"), 400},
		{"a dollar", command("$JS"), 400},
		{"an inbox", command("_INBOX.x"), 400},
		{"NUL", command("a\x00b"), 400},
		{"a control character", command("a\x01b"), 400},
		{"path", command("../../etc"), 503}, // empty tokens: the server delivers to nobody
		{"slash", command("a/b"), 400},
		{"quotes", command(`a'"--`), 400},
		{"braces", command("{{.X}}"), 400},
		{"script", command("<script>"), 400},
		{"colon", command("a:b"), 400},
		{"unescaped letter é", command("é"), 400},
		{"é in normal form D", command("e=CC=81"), 400},
		{"zero-width joiner", command("a=E2=80=8Db"), 400},
		{"direction mark", command("a=E2=80=AEb"), 400},
		{"escaped NUL", command("a=00"), 400},
		{"escaped line break", command("a=0D=0A"), 400},
		{"invalid UTF-8", command("=FF"), 400},
		{"raw invalid UTF-8", command("\xff\xfe"), 400},
		{"half an escape", command("a=2"), 400},
		{"escape in lower case", command("a=2e"), 400},
		{"escape of what needs none", command("=41"), 400},
		{"escape character alone", command("="), 400},
		{"129 bytes", command(strings.Repeat("x", 129)), 413},
		{"201 bytes of token", command(strings.Repeat("=2E", 67)), 413},
		{"3,000 bytes", command(strings.Repeat("x", 3000)), 413},
		{"no command", "bank.cmd.account.a", 400},
		{"no id", "bank.cmd.account", 400},
		{"empty id", command(""), 503},
		{"trailing dot", "bank.cmd.account.a.open.", 503},
		{"type in upper case", "bank.cmd.Account.a.open", 400},
		{"command in upper case", "bank.cmd.account.a.Open", 400},
		{"command with an escape", "bank.cmd.account.a.op=65n", 400},
		{"command like a flag", "bank.cmd.account.a.--help", 400},
		{"long command", "bank.cmd.account.a." + strings.Repeat("x", 65), 400},
		{"unknown command", "bank.cmd.account.a.close", 404},
		{"unknown type", "bank.cmd.robot.a.open", 404},
		{"another namespace", "other.cmd.account.a.open", 503},
	} {
		code, m := raw.request(t, c.subject, "", `{"owner":"Ann"}`)
		if code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, code, c.want, m.Data)
		}
		if code != 503 && m.Header.Get("Annals-Error") == "" {
			t.Errorf("%s: no error code", c.what)
		}
	}
	b.stillGood(t, raw)
}

func TestUnusualIDsThatAreAllowed(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	ids := []string{
		"--help", "1e309", "-0", "a b", "a.b", "*", ">", "$JS.API", "../../etc", "' OR 1=1 --", "{{.}}", "<script>",
		"é", "😀", "а", "a", strings.Repeat("x", 128), "application/7", "%00", "=",
	}
	for _, id := range ids {
		token, err := store.EncodeToken(id)
		if err != nil {
			t.Fatal(err)
		}
		code, m := raw.request(t, "bank.cmd.account."+token+".open", "", `{"owner":"Ann"}`)
		if want := fmt.Sprintf(`"id":%q`, id); code != 200 || !strings.Contains(string(m.Data), want) {
			t.Errorf("%q: %d %s", id, code, m.Data)
		}
	}
	// Each of them is a stream of its own.
	tip, err := b.log.Tip(t.Context())
	if err != nil || tip.Sequence() != uint64(len(ids)) {
		t.Errorf("%d commits of %d ids: %v", tip.Sequence(), len(ids), err)
	}
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	many := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "X-%d: y\r\n", i)
		}
		return s.String()
	}
	for _, c := range []struct {
		what, header string
		want         int
	}{
		{"line break in a command id", "Annals-Command-Id: a\r\nb\r\n", 400},
		{"lone line feed in a command id", "Annals-Command-Id: a\nb\r\n", 400},
		{"NUL in a command id", "Annals-Command-Id: a\x00b\r\n", 400},
		{"tab in a command id", "Annals-Command-Id: a\tb\r\n", 400},
		{"direction mark in a command id", "Annals-Command-Id: a\u202eb\r\n", 400},
		{"command id that is not UTF-8", "Annals-Command-Id: \xff\r\n", 400},
		{"empty command id", "Annals-Command-Id: \r\n", 400},
		{"command id of 129 bytes", "Annals-Command-Id: " + strings.Repeat("x", 129) + "\r\n", 400},
		{"correlation id of 1,025 bytes", "Annals-Correlation-Id: " + strings.Repeat("x", 1025) + "\r\n", 400},
		{"command id twice", "Annals-Command-Id: a\r\nAnnals-Command-Id: b\r\n", 400},
		{"command id in two spellings", "Annals-Command-Id: a\r\nannals-command-id: b\r\n", 400},
		{"misspelt header", "Annals-Expected-Verison: 1\r\n", 400},
		{"forged identity", "Annals-Principal: root\r\n", 400},
		{"space in a name", "Annals-Command Id: a\r\n", 400},
		{"expected version -1", "Annals-Expected-Version: -1\r\n", 400},
		{"expected version +1", "Annals-Expected-Version: +1\r\n", 400},
		{"expected version 1e3", "Annals-Expected-Version: 1e3\r\n", 400},
		{"expected version 0x1", "Annals-Expected-Version: 0x1\r\n", 400},
		{"expected version beyond 64 bits", "Annals-Expected-Version: 18446744073709551616\r\n", 400},
		{"expected version of words", "Annals-Expected-Version: latest\r\n", 400},
		{"unknown conflict policy", "Annals-On-Conflict: ignore\r\n", 400},
		{"conflict policy by number", "Annals-On-Conflict: 1\r\n", 400},
		{"deadline of words", "Annals-Deadline: tomorrow\r\n", 400},
		{"deadline without unit", "Annals-Deadline: 5\r\n", 400},
		{"deadline that overflows", "Annals-Deadline: 99999999999h\r\n", 400},
		{"deadline in year 10000", "Annals-Deadline: 10000-01-01T00:00:00Z\r\n", 400},
		{"unknown content type", "Content-Type: text/html\r\n", 400},
		{"broken content type", "Content-Type: ;;;\r\n", 400},
		{"no colon", "Annals-Command-Id\r\n", 400},
		{"position of a view", "Annals-Min-Position: 4\r\n", 400},
		{"a header of an answer", "Annals-Error: REJECTED\r\n", 400},
		{"65 headers", many(65), 400},
		{"5,000 headers", many(5000), 400},
		{"17 KB of headers", "X: " + strings.Repeat("y", 17<<10) + "\r\n", 400},
		{"60 KB of headers", "X: " + strings.Repeat("y", 60<<10) + "\r\n", 400},
		{"a line without a name", ":empty name\r\n", 403},
	} {
		code, m := raw.request(t, "bank.cmd.account.a.open", block+c.header+"\r\n", `{"owner":"Ann"}`)
		if code != c.want || m.Header.Get("Annals-Error") == "" {
			t.Errorf("%s: %d, want %d: %s", c.what, code, c.want, m.Data)
		}
	}
	if code, _ := raw.request(t, "bank.cmd.account.a.open", "garbage\r\n\r\n", `{"owner":"Ann"}`); code != 400 {
		t.Errorf("a header block that is none: %d", code)
	}
	b.stillGood(t, raw)
}

func TestHeadersThatChangeNothing(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	for i, header := range []string{
		"", "Nats-Rollup: all\r\n", "Nats-Rollup: sub\r\n", "Nats-Expected-Last-Sequence: 0\r\n", "Nats-Expected-Stream: X\r\n",
		"Nats-Expected-Last-Subject-Sequence: 9\r\n", "Nats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\n", "Nats-TTL: 1s\r\n",
		"Nats-Schedule: @at 2030-01-01T00:00:00Z\r\n", "Nats-Request-Info: {\"acc\":\"SYS\"}\r\n", "Nats-Msg-Id: m\r\n",
		"Nats-Service-Error: x\r\nNats-Service-Error-Code: 500\r\n", "X-A:b:c\r\n", "traceparent: garbage\r\n",
		"traceparent: 00-00000000000000000000000000000000-0000000000000000-00\r\n", "Reply-To: $JS.API\r\n",
	} {
		code, m := raw.request(t, fmt.Sprintf("bank.cmd.account.a%d.open", i), block+header+"\r\n", `{"owner":"Ann"}`)
		if code != 200 || !strings.Contains(string(m.Data), `"version":1`) {
			t.Errorf("%q: %d %s", header, code, m.Data)
		}
		for name := range m.Header {
			if name != "Content-Type" {
				t.Errorf("%q: the answer has the header %s", header, name)
			}
		}
	}
}

func TestBadPayloads(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	const msgpack, json = "application/msgpack", "application/json"
	declares := func(first byte, n uint32) string {
		return string(binary.BigEndian.AppendUint32([]byte{first}, n))
	}
	for _, c := range []struct {
		what, contentType, body string
		want                    []int
	}{
		{"not JSON", json, `{"cents":`, []int{400}},
		{"words", "", `hello`, []int{400}},
		{"an array", "", `[1]`, []int{400}},
		{"a string", json, `"x"`, []int{400}},
		{"wrong type", json, `{"cents":"x"}`, []int{400}},
		{"a fraction for an integer", json, `{"cents":1.5}`, []int{400}},
		{"1e309 for an integer", json, `{"cents":1e309}`, []int{400}},
		{"2^64-1 into int64", json, `{"cents":18446744073709551615}`, []int{400}},
		{"unknown field", json, `{"cents":1,"principal":"root"}`, []int{400}},
		{"a name twice", json, `{"cents":1,"cents":2}`, []int{400}},
		{"trailing bytes", json, `{"cents":1}{}`, []int{400}},
		{"NaN", json, `{"cents":NaN}`, []int{400}},
		{"JSON that says msgpack", msgpack, `{"cents":1}`, []int{400}},
		{"a byte c1", "", "\xc1", []int{400}},
		{"array32 of 4e9", msgpack, "\xdd\xee\x6b\x28\x00", []int{400}},
		{"map32 of 4e9", msgpack, declares(0xdf, 4e9), []int{400}},
		{"bin32 of 4e9", msgpack, declares(0xc6, 4e9), []int{400}},
		{"str32 of 4e9", msgpack, declares(0xdb, 4e9), []int{400}},
		{"depth 33", msgpack, strings.Repeat("\x91", 33) + "\xc0", []int{400, 413}},
		{"a million nested arrays", msgpack, strings.Repeat("\x91", 900_000), []int{400}},
		{"a million nested JSON arrays", json, strings.Repeat("[", 200_000), []int{400, 413}},
		{"trailing msgpack", msgpack, "\x80\xc0", []int{400}},
		{"unknown extension", msgpack, "\x81\xa5cents\xd4\x05\x00", []int{400}},
		{"key twice", msgpack, "\x82\xa5cents\x01\xa5cents\x02", []int{400}},
		{"key that is no string", msgpack, "\x81\xc0\x01", []int{400}},
		{"256 KiB and 1 of JSON", json, `{"cents":1` + strings.Repeat(" ", 256<<10-10) + `}`, []int{413}},
		{"300 KB of msgpack", msgpack, "\x81\xa5cents" + declares(0xc6, 300_000) + strings.Repeat("x", 300_000), []int{413}},
		{"1,000,000 bytes", "", strings.Repeat(" ", 1_000_000), []int{413}},
	} {
		header := ""
		if c.contentType != "" {
			header = block + "Content-Type: " + c.contentType + "\r\n\r\n"
		}
		code, m := raw.request(t, "bank.cmd.account.a.deposit", header, c.body)
		if code != c.want[0] && code != c.want[len(c.want)-1] {
			t.Errorf("%s: %d, want %v: %.300s", c.what, code, c.want, m.Data)
		}
	}
	for i := range len("\x81\xa5cents\x01") {
		body := "\x81\xa5cents\x01"[:i]
		if code, _ := raw.request(t, "bank.cmd.account.a.deposit", block+"Content-Type: application/msgpack\r\n\r\n", body); i > 0 && code != 400 {
			t.Errorf("truncated at %d: %d", i, code)
		}
	}
	b.stillGood(t, raw)
}

func TestAPayloadOfTheLargestSizeIsTaken(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	body := `{"owner":"Ann"` + strings.Repeat(" ", 256<<10-15) + `}`
	if code, m := raw.request(t, "bank.cmd.account.a.open", "", body); code != 200 {
		t.Errorf("%d bytes: %d %s", len(body), code, m.Data)
	}
}

func TestRandomBytesAreRefusedInBoundedMemory(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	body := make([]byte, 200<<10)
	before := heap()
	for range 200 {
		for i := 0; i < len(body); i += 8 {
			binary.LittleEndian.PutUint64(body[i:], random.Uint64())
		}
		code, m := raw.request(t, "bank.cmd.account.a.open", block+"Content-Type: application/msgpack\r\n\r\n", string(body))
		if code != 400 && code != 413 {
			t.Fatalf("%d: %s", code, m.Data)
		}
	}
	if after := heap(); after > before+32<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	b.stillGood(t, raw)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An asker chooses where the answer goes. It must not be able to make the
// gateway publish where the asker itself may not.
func TestAnswersAreNotPublishedToForbiddenSubjects(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	raw := dialRaw(t, b.server)
	everything, err := b.conn.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	replies := []string{
		"bank.evt.7.account.a", "bank.cmd.account.b.open", "bank.anything", "other.evt.0.account.a", "other.cmd.account.a.open",
		"other.qry.v", "other.ctl.info", "$JS.API.STREAM.DELETE.X", "$SYS.REQ.SERVER.PING", "$KV.bucket.key", "$SRV.PING",
	}
	asked := map[string]bool{}
	for i, reply := range replies {
		for _, subject := range []string{
			fmt.Sprintf("bank.cmd.account.r%d.open", i), fmt.Sprintf("bank.cmd.account.r%d.bad", i), "bank.ctl.info", "$SRV.INFO",
		} {
			raw.publish(t, subject, reply, "", "")
			asked[subject] = true
		}
	}
	raw.sync(t)
	if code, _ := raw.request(t, "bank.ctl.info", "", ""); code != 200 { // the gateway has seen all of them
		t.Errorf("info: %d", code)
	}
	for {
		m, err := everything.NextMsg(soon)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(m.Subject, "_INBOX.raw.") {
			break
		}
		if !asked[m.Subject] || m.Header != nil {
			t.Errorf("published to %s: %s", m.Subject, m.Data)
		}
	}
	b.stillGood(t, raw)
}
