package embedded

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestMappingsMoveWhatClientsPublish(t *testing.T) {
	t.Parallel()
	mappings := map[string]string{"ask.*.*": "slice.{{partition(4,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", "old": "new"}
	s := start(t, Config{Mappings: mappings})
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Subscribe("slice.*.*.*", echo); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Subscribe("new", echo); err != nil {
		t.Fatal(err)
	}
	// FNV-1a, 32 bits, of "ab" modulo 4 is 2.
	for subject, want := range map[string]string{"ask.a.b": "slice.2.a.b", "old": "new"} {
		got, err := nc.Request(subject, nil, 30*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		if string(got.Data) != want {
			t.Errorf("%s arrived as %s, want %s", subject, got.Data, want)
		}
	}
}

// echo answers with the subject under which a message arrived.
func echo(m *nats.Msg) { _ = m.Respond([]byte(m.Subject)) }

func TestMonitoringTellsHowDataIsSynced(t *testing.T) {
	t.Parallel()
	for _, sync := range []Sync{SyncAlways, SyncNone} {
		s := start(t, Config{Dir: t.TempDir(), Sync: sync, Monitor: true})
		response, err := http.Get(s.MonitorURL() + "/jsz")
		if err != nil {
			t.Fatal(err)
		}
		var jsz struct {
			Config struct {
				Always bool `json:"sync_always"`
			} `json:"config"`
		}
		err = json.NewDecoder(response.Body).Decode(&jsz)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if jsz.Config.Always != (sync == SyncAlways) {
			t.Errorf("sync %s: the server says sync_always is %v", sync, jsz.Config.Always)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if url := start(t, Config{}).MonitorURL(); url != "" {
		t.Errorf("monitoring at %s, which nobody asked for", url)
	}
}
