package exchange_test

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
)

// Rules of CloudEvents 1.0 for all attributes: the names of sections "Context
// Attributes" and the types of section "Type System" as its JSON format has them.
func TestCloudEventsKeepTheRules(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill()
	name := regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	for _, line := range lines(t, w.log, exchange.CloudEvents) {
		var event map[string]any
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		for _, required := range []string{"id", "source", "specversion", "type"} {
			if text, is := event[required].(string); !is || text == "" {
				t.Errorf("%s is missing in %s", required, line)
			}
		}
		if event["specversion"] != "1.0" || event["datacontenttype"] != "application/json" {
			t.Errorf("version or content type of %s", line)
		}
		for attribute, value := range event {
			if attribute == "data" {
				continue
			}
			if !name.MatchString(attribute) {
				t.Errorf("%q is no name of an attribute", attribute)
			}
			switch v := value.(type) {
			case string:
				if v == "" {
					t.Errorf("%s is empty in %s", attribute, line)
				}
			case float64:
				if v != math.Trunc(v) || v < math.MinInt32 || v > math.MaxInt32 {
					t.Errorf("%s is %v, which is no Integer", attribute, v)
				}
			default:
				t.Errorf("%s is %v, which is no type of an attribute", attribute, value)
			}
		}
	}
}

// Whoever hands an event on may add attributes.
func TestCloudEventsWithMoreAttributes(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", 1)
	all := lines(t, w.log, exchange.CloudEvents)
	all[0] = changed(t, all[0], "partitionkey", "x")
	to := store.NewMemory(store.MemoryConfig{})
	if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to, Form: exchange.CloudEvents}, file(all)); err != nil {
		t.Error(err)
	}
}

func TestCloudEventsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", 1)
	good := lines(t, w.log, exchange.CloudEvents)[0]
	for attribute, value := range map[string]any{
		"specversion": "0.3", "datacontenttype": "text/xml", "type": "com.example.done", "subject": "order",
		"streamversion": "first", "position": "-1", "leaseepoch": "x", "commitcount": 0, "commandid": "", "codec": "",
	} {
		to := store.NewMemory(store.MemoryConfig{})
		config := exchange.ImportConfig{Log: to, Form: exchange.CloudEvents}
		if _, err := exchange.Import(t.Context(), config, file([][]byte{changed(t, good, attribute, value)})); !isInvalidLine(err) {
			t.Errorf("%s %v: got %v", attribute, value, err)
		}
	}
}
