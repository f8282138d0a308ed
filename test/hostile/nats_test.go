package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
)

// input is something bad, and what may become of it.
type input struct {
	what, subject, header, body string
	want                        []int
}

const block = "NATS/1.0\r\n"

// headed is a header block of these lines.
func headed(lines string) string { return block + lines + "\r\n" }

const (
	jsonType = "Content-Type: application/json\r\n"
	packType = "Content-Type: application/msgpack\r\n"
)

func declares(first byte, n uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte{first}, n))
}

func openID(id string) string { return "bank.cmd.account." + id + ".open" }

// badSubjects are ids and subjects that cannot be; 503 is said by the server, of
// what it brings to nobody.
func badSubjects() (all []input) {
	for what, subject := range map[string]string{
		"a wildcard": openID("*"), "all the rest": openID(">"), "an id and a wildcard": openID("a.*"), "two tokens": openID("a.b"),
		"a dot": openID("."), "two dots": openID("a..b"), "a dot at the end": openID("a") + ".", "no id": openID(""), "NUL": openID("a\x00b"),
		"129 bytes": openID(strings.Repeat("x", 129)), "3,900 bytes": openID(strings.Repeat("x", 3900)), "JetStream": openID("$JS.API.STREAM.DELETE.X"),
		"an inbox": openID("_INBOX.x"), "a path": openID("../../etc"), "normal form D": openID("e=CC=81"), "a joiner": openID("a=E2=80=8Db"),
		"not UTF-8": openID("\xff\xfe"), "escaped, not UTF-8": openID("=FF"), "quotes": openID(`a'"--`), "braces": openID("{{.X}}"), "a script": openID("<script>"),
		"an escape in lower case": openID("a=2e"), "half an escape": openID("a=2"), "an escape of a letter": openID("=41"),
		"a command like a flag": "bank.cmd.account.a.--help", "an unknown command": "bank.cmd.account.a.close", "an unknown type": "bank.cmd.robot.a.open",
		"a type in capitals": "bank.cmd.Account.a.open", "another namespace": "shop.cmd.account.a.open", "no partition": "bank.prt..cmd.account.a.open",
		"a partition of words": "bank.prt.x.cmd.account.a.open", "a partition of 20 digits": "bank.prt.99999999999999999999.cmd.account.a.open",
		"an asker that is none": "bank.as.=FF.cmd.account.a.open", "an asker without a name": "bank.as..cmd.account.a.open", "an asker alone": "bank.as.ann",
		"a view in capitals": "bank.qry.Balances.a", "an unknown view": "bank.qry.nothing.a", "a key that is none": "bank.qry.balances.a=2fb", "a watch of nothing": "bank.watch.nothing",
		"an unknown verb": "bank.ctl.destroy", "another node": "bank.node.x.ctl.info", "nothing of the kind": "bank.node.dev.ctl.destroy",
	} {
		all = append(all, input{what: what, subject: subject, body: `{"owner":"Ann"}`, want: []int{400, 404, 413, 503}})
	}
	return all
}

// badHeaders are headers that a command must not have.
func badHeaders() (all []input) {
	many := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "X-%d: y\r\n", i)
		}
		return s.String()
	}
	for what, lines := range map[string]string{
		"a line break": "Annals-Command-Id: a\r\nb\r\n", "a line feed": "Annals-Command-Id: a\nb\r\n", "NUL": "Annals-Command-Id: a\x00b\r\n",
		"a space in a name": "Annals-Command Id: a\r\n", "no colon": "Annals-Command-Id\r\n", "an empty id": "Annals-Command-Id: \r\n",
		"a forged name": "Annals-Principal: root\r\n", "a forged name in capitals": "ANNALS-PRINCIPAL: root\r\n", "a forged time": "Annals-Until: 2099-01-01T00:00:00Z\r\n",
		"a token where none is verified": "Annals-Authorization: Bearer annals_x\r\n", "an unsigned token": "Annals-Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.\r\n",
		"a token of 16 KB": "Annals-Authorization: Bearer " + strings.Repeat("x", 15<<10) + "\r\n", "hops": "Annals-Hops: 1\r\n", "a reply for another": "Annals-Reply: _INBOX.x\r\n",
		"a deadline of words": "Annals-Deadline: soon\r\n", "a deadline in the past": "Annals-Deadline: 2001-01-01T00:00:00Z\r\n", "a negative deadline": "Annals-Deadline: -5s\r\n",
		"a deadline that overflows": "Annals-Deadline: 99999999999h\r\n", "a version below 0": "Annals-Expected-Version: -1\r\n", "a version of 2^64": "Annals-Expected-Version: 18446744073709551616\r\n",
		"a schema of 999": "Annals-Schema: 999\r\n", "views that there are not": "Annals-Wait-Views: a,b\r\n", "17 views": "Annals-Wait-Views: " + strings.Repeat("a,", 16) + "a\r\n",
		"65 headers": many(65), "10,000 headers": many(10_000), "65,536 bytes": "X: " + strings.Repeat("y", 65_536-len("X: \r\n\r\n"+block)) + "\r\n",
		"500 KB": "X: " + strings.Repeat("y", 500<<10) + "\r\n",
	} {
		all = append(all, input{what: what, subject: openID("h"), header: headed(lines), body: `{"owner":"Ann"}`, want: []int{400, 401, 404, 504}})
	}
	return append(all, input{what: "no headers at all", subject: openID("h"), header: "garbage\r\n\r\n", body: `{"owner":"Ann"}`, want: []int{400}})
}

// badBodies are payloads that no command is.
func badBodies() (all []input) {
	cents := func(value string) string { return `{"cents":` + value + `}` }
	for what, body := range map[string]string{
		"a byte c1": packType + "\xc1", "array32": packType + declares(0xdd, 4e9), "map32": packType + declares(0xdf, 4e9), "bin32": packType + declares(0xc6, 4e9),
		"str32": packType + declares(0xdb, 4e9), "ext32": packType + declares(0xc9, 4e9) + "\x05", "a text longer than the body": packType + "\x81\xa5cents\xbfx",
		"depth 33": packType + "\x81\xa5cents" + strings.Repeat("\x91", 33) + "\xc0", "depth 900,000": packType + strings.Repeat("\x91", 900_000),
		"trailing bytes": packType + "\x80\xc0", "an unknown extension": packType + "\x81\xa5cents\xd4\x05\x00", "a sealed value": packType + "\x81\xa5cents\xd4\x50\x00",
		"a key twice": packType + "\x82\xa5cents\x01\xa5cents\x02", "a key that is nil": packType + "\x81\xc0\x01", "a key that is a number": packType + "\x81\x01\x01",
		"a time beyond its second": packType + "\x81\xa5cents\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x01",
		"NaN":                      packType + "\x81\xa5cents\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", "Inf": packType + "\x81\xa5cents\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
		"uint64 max": packType + "\x81\xa5cents\xcf" + strings.Repeat("\xff", 8), "a text for a number": packType + "\x81\xa5cents\xa1x", "an unknown field": packType + "\x81\xa4root\x01",
		"-0":          packType + "\x81\xa5cents\xcb\x80\x00\x00\x00\x00\x00\x00\x00",
		"random zstd": packType + "\x28\xb5\x2f\xfd" + strings.Repeat("\xff", 4000),
		"JSON: words": jsonType + "hello", "JSON: an array": jsonType + "[1]", "JSON: cut off": jsonType + `{"cents":`, "JSON: 1e309": jsonType + cents("1e309"),
		"JSON: 2^64": jsonType + cents("18446744073709551616"), "JSON: a fraction": jsonType + cents("1.5"), "JSON: a text": jsonType + cents(`"1"`), "JSON: NaN": jsonType + cents("NaN"),
		"JSON: twice": jsonType + `{"cents":1,"cents":2}`, "JSON: two": jsonType + cents("1") + "{}", "JSON: unknown": jsonType + `{"cents":1,"principal":"root"}`,
		"JSON: depth 200,000": jsonType + strings.Repeat("[", 200_000), "JSON: a sealed value": jsonType + cents(`{"annals:sealed":"AAAA"}`), "JSON: not UTF-8": jsonType + "{\"\xff\":1}",
		"JSON: the most and one": jsonType + `{"cents":1` + strings.Repeat(" ", 256<<10-10) + `}`, "nearly what the server takes": jsonType + strings.Repeat(" ", 1<<20-1024),
		"zstd": jsonType + "\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00", "zstd with a window of 2 GB": packType + "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", "gzip": jsonType + "\x1f\x8b\x08\x00",
		"another type": "Content-Type: text/html\r\n" + cents("1"),
	} {
		i := strings.Index(body, "\r\n") + 2
		all = append(all, input{what: what, subject: "bank.cmd.account.b.deposit", header: headed(body[:i]), body: body[i:], want: []int{400, 413}})
	}
	// These are commands, with a zero value or a strange one: the domain says no.
	for what, body := range map[string]string{
		"nothing": packType, "JSON: nothing": jsonType, "JSON: null": jsonType + "null", "nil": packType + "\xc0", "JSON: -0": jsonType + cents("-0"),
		"int64 min": packType + "\x81\xa5cents\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
	} {
		i := strings.Index(body, "\r\n") + 2
		all = append(all, input{what: what, subject: "bank.cmd.account.b.deposit", header: headed(body[:i]), body: body[i:], want: []int{422}})
	}
	whole := "\x81\xa5cents\xcd\x01\x00"
	for i := 1; i < len(whole); i++ {
		all = append(all, input{what: fmt.Sprintf("cut off after %d", i), subject: "bank.cmd.account.b.deposit", header: headed(packType), body: whole[:i], want: []int{400}})
	}
	for _, subject := range []string{"bank.ctl.aggregate.get", "bank.ctl.projection.rebuild", "bank.ctl.dlq.edit", "bank.ctl.wait", "bank.qry.balances", "bank.watch.balances"} {
		for _, body := range []string{"[", `{"view":7}`, `{"window":-1,"limit":-1}`, strings.Repeat("[", 4000), strings.Repeat("x", 300<<10), "\x81\xa4view\xa1x"} {
			all = append(all, input{what: fmt.Sprintf("%s with %.12q", subject, body), subject: subject, body: body, want: []int{400, 413}})
		}
	}
	return all
}

// Each bad input over NATS passes as DESIGN.md says.
//
//nolint:paralleltest // it measures what this process allocates
func TestBadInputsOverNATS(t *testing.T) {
	at, logged := startNode(t, "dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	nc := connect(t, at.NATS)
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: "bank", Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	b := watchOver(t, client)
	enemy := dial(t, at.NATS)
	before := live()
	tried := 0
	for _, in := range append(append(badSubjects(), badHeaders()...), badBodies()...) {
		within(t, in.what, func() {
			status, m := enemy.ask(t, in.subject, in.header, in.body)
			typed := status == 503 && m.Header.Get("Status") != "" || m.Header.Get(gateway.HeaderError) != ""
			if !slices.Contains(in.want, status) || !typed {
				t.Errorf("%s: %d, want %v: %.200s", in.what, status, in.want, m.Data)
			}
		})
		tried++
	}
	tried += repliesWhereNoneMayGo(t, enemy)
	tried += noise(t, enemy)
	if code, m := enemy.ask(t, "bank.ctl.info", "", ""); code != 200 {
		t.Errorf("the same connection afterwards: %d %s", code, m.Data)
	}
	tried += whatTheServerEnds(t, at.NATS)
	if after := live(); after > before+mostBytes {
		t.Errorf("it held %d bytes before, and holds %d", before, after)
	}
	b.onlyTheGood(t, nc)
	if strings.Contains(logged.String(), "goroutine ") {
		t.Errorf("something panicked: %s", logged)
	}
	t.Logf("%d bad inputs, %d good commands meanwhile", tried, b.sent.Load())
}

// repliesWhereNoneMayGo asks with reply subjects that would make an answer
// something else. Nobody gets one; that it was not stored is looked at in the end.
func repliesWhereNoneMayGo(t *testing.T, enemy *wire) (tried int) {
	t.Helper()
	for _, reply := range []string{
		"bank.evt.7.account.a", openID("r"), "bank.as.ann.cmd.account.r.open", "bank.node.dev.ctl.info", "$JS.API.STREAM.DELETE.BANK", "$SYS.REQ.SERVER.PING", "$KV.x.y",
		"shop.evt.0.account.a", "bank.key.x", "bank." + strings.Repeat("x", 2000),
	} {
		for _, subject := range []string{openID("r"), "bank.ctl.info", "bank.qry.balances", "bank.watch.balances", "$SRV.INFO"} {
			enemy.publish(t, subject, reply, "", `{"owner":"Ann"}`)
			tried++
		}
	}
	return tried
}

// noise sends random bytes of up to a megabyte, ten thousand times in all.
func noise(t *testing.T, enemy *wire) (tried int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	large := make([]byte, 1<<20-4096)
	for i := 0; i+8 <= len(large); i += 8 {
		binary.LittleEndian.PutUint64(large[i:], random.Uint64())
	}
	for i := range 10_000 {
		from := random.IntN(len(large) - 600)
		to := from + random.IntN(600)
		if i%500 == 0 {
			from, to = 0, len(large)
		}
		body := string(large[from:to])
		header := []string{headed(packType), headed(jsonType), ""}[i%3]
		if status, m := enemy.ask(t, "bank.cmd.account.n.deposit", header, body); status != 400 && status != 413 && status != 422 {
			t.Fatalf("noise %d: %d %s", i, status, m.Data) // a few bytes may happen to be a command, for an account that is not open
		}
	}
	return 10_000
}

// whatTheServerEnds is refused by the NATS server, with the connection that sent it.
func whatTheServerEnds(t *testing.T, at string) (tried int) {
	t.Helper()
	for _, text := range map[string]string{
		"a subject of a megabyte": "PUB bank.cmd.account." + strings.Repeat("x", 1<<20) + ".open 2\r\n{}\r\n",
		"a payload over its most": fmt.Sprintf("PUB bank.cmd.account.x.open %d\r\n%s\r\n", 9<<20, strings.Repeat("x", 9<<20)),
		"a size below zero":       "PUB bank.cmd.account.x.open -1\r\n\r\n",
		"a space in a subject":    "PUB bank.cmd.account.a b.open _INBOX.x 2\r\n{}\r\n",
		"a tab in a subject":      "PUB bank.cmd.account.a\tb.open _INBOX.x 2\r\n{}\r\n",
		"headers beyond the body": "HPUB bank.cmd.account.x.open 100 2\r\n{}\r\n",
		"no protocol at all":      "GET / HTTP/1.1\r\n\r\n",
	} {
		w := dial(t, at)
		_, _ = io.WriteString(w, text) // the server may have ended it by now
		discard(w.reader)              // until it does
		tried++
	}
	return tried
}
