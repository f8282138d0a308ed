package servers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
)

// report is what is read of a server's report about itself.
type report struct {
	ID        string `json:"server_id"`
	Name      string `json:"server_name"`
	Version   string `json:"version"`
	JetStream struct {
		Config *struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
		Meta *struct {
			Name string `json:"name"`         // of the cluster
			Size int    `json:"cluster_size"` // servers with JetStream in it
		} `json:"meta"`
	} `json:"jetstream"`
}

func (r report) syncAlways() bool { return r.JetStream.Config != nil && r.JetStream.Config.SyncAlways }

// cluster is the name of the server's cluster, "" if it stands alone, and how
// many servers with JetStream there are.
func (r report) cluster() (name string, size int) {
	if r.JetStream.Meta == nil {
		return "", 1
	}
	return r.JetStream.Meta.Name, max(r.JetStream.Meta.Size, 1)
}

// maxReportBytes bounds what is read of a report.
const maxReportBytes = 4 << 20

// ParseMonitors completes and checks what --monitor names: monitoring ports, as
// URLs or HOST:PORT. The error is a [*console.Failure].
func ParseMonitors(urls []string) ([]string, error) {
	var parsed []string
	for _, text := range urls {
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, console.Usage("--monitor %q: want URLs of monitoring ports, such as http://n1:8222", text)
		}
		parsed = append(parsed, u.JoinPath("varz").String())
	}
	return parsed, nil
}

// MonitorClient returns what asks monitoring ports, within timeout. It trusts whom the
// file of --tlsca names, if there is one, else whom this machine does.
func MonitorClient(tlsCA string, timeout time.Duration) (*http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if tlsCA != "" {
		pem, err := os.ReadFile(tlsCA)
		if err != nil {
			return nil, fmt.Errorf("read --tlsca: %w", err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Transport: transport, Timeout: timeout}, nil
}

// readReport asks one monitoring port.
func readReport(ctx context.Context, client *http.Client, url string) (v report, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return v, err
	}
	response, err := client.Do(request)
	if err != nil {
		return v, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return v, fmt.Errorf("%s answers %s", url, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxReportBytes)).Decode(&v); err != nil {
		return v, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	return v, nil
}

// askReports asks all servers over NATS, which answer if the account may ask: one
// that imports the servers' reports from the system account. It returns when as
// many have answered as say that they are, or when within ends.
func askReports(ctx context.Context, conn *nats.Conn, within time.Duration) ([]report, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := conn.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", inbox, nil); err != nil {
		return nil, err
	}
	var all []report
	for size := 1; len(all) < size; {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil || m.Header.Get("Status") != "" {
			return all, nil // nobody more answers
		}
		var answer struct {
			Data report `json:"data"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return nil, fmt.Errorf("read a server's report: %w", err)
		}
		all = append(all, answer.Data)
		_, known := answer.Data.cluster()
		size = max(size, known)
	}
	return all, nil
}
