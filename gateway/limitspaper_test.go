package gateway_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/access"
	"github.com/annals-go/annals/gateway/httpapi"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store/privacy"
)

// settingsOf are the configurations that LIMITS.md names.
var settingsOf = map[string]reflect.Type{
	"gateway.Config": reflect.TypeFor[gateway.Config](), "httpapi.Config": reflect.TypeFor[httpapi.Config](), "access.Config": reflect.TypeFor[access.Config](),
	"actor.Config": reflect.TypeFor[actor.Config](), "projector.Config": reflect.TypeFor[projector.Config](), "privacy.KeyringConfig": reflect.TypeFor[privacy.KeyringConfig](),
}

var (
	aSetting = regexp.MustCompile("`([a-z]+\\.[A-Za-z]*Config)\\.([A-Za-z]+)`")
	anAmount = regexp.MustCompile(`^([0-9,]+)( KiB| MiB| s| min| h)?`)
	units    = map[string]int64{"": 1, " KiB": 1 << 10, " MiB": 1 << 20, " s": int64(time.Second), " min": int64(time.Minute), " h": int64(time.Hour)}
)

// What LIMITS.md calls a setting is one, its defaults of the gateway are those that it
// has, and each limit has a test.
func TestLimitsAreAsWritten(t *testing.T) {
	t.Parallel()
	paper, err := os.ReadFile("LIMITS.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := reflect.ValueOf(gateway.WithDefaults(gateway.Config{}))
	rows, compared := 0, 0
	for line := range strings.Lines(string(paper)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[0]) == "what" {
			continue
		}
		rows++
		if tests := cells[4]; !strings.Contains(tests, "_test.go") && !strings.Contains(tests, "the same") {
			t.Errorf("no test: %s", line)
		}
		for _, found := range aSetting.FindAllStringSubmatch(cells[1], -1) {
			of, known := settingsOf[found[1]]
			if !known {
				t.Errorf("%s is not looked at", found[1])
				continue
			}
			if _, has := of.FieldByName(found[2]); !has {
				t.Errorf("%s has no %s", found[1], found[2])
			}
			if found[1] != "gateway.Config" {
				continue
			}
			if got, want := defaults.FieldByName(found[2]).Int(), amount(strings.TrimSpace(cells[2])); got != want {
				t.Errorf("%s is %d, written is %q", found[2], got, cells[2])
			}
			compared++
		}
	}
	if rows < 35 || compared < 12 {
		t.Errorf("%d rows, %d defaults were compared: the document has another form", rows, compared)
	}
}

func amount(text string) int64 {
	m := anAmount.FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	if err != nil {
		return -1
	}
	return n * units[m[2]]
}

// What has a number in LIMITS.md and no setting.
func TestFixedLimits(t *testing.T) {
	t.Parallel()
	b, _, _, _ := office(t)
	for limit, want := range map[int]gateway.Code{0: gateway.CodeInvalid, 1: "", 100: "", 101: gateway.CodeInvalid} {
		m := request(t, b.conn, "bank.ctl.subject.ls", fmt.Sprintf(`{"limit":%d}`, limit))
		if got := m.Header.Get(gateway.HeaderError); got != string(want) {
			t.Errorf("%d data subjects: %q, want %q", limit, got, want)
		}
	}
	one := startNode(t, startServer(t), newRoster("a"), "a", &fakeActors{submit: succeed})
	held, err := one.PendingLimits()
	if err != nil || len(held) == 0 {
		t.Fatal(held, err)
	}
	for _, h := range held {
		if h != [2]int{65_536, 32 << 20} {
			t.Errorf("a subscription holds %v", h)
		}
	}
}
