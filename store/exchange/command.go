package exchange

import (
	"strconv"

	"github.com/annals-go/annals/store"
)

func newCommand(c *store.Command) command {
	return command{
		ID: c.ID, Name: c.Name, BodyHash: formatHash(c.BodyHash), CorrelationID: c.CorrelationID,
		CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent,
	}
}

func (c *command) stored() (store.Command, error) {
	hash, err := parseHash(c.BodyHash)
	return store.Command{
		ID: c.ID, Name: c.Name, BodyHash: hash, CorrelationID: c.CorrelationID,
		CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent,
	}, err
}

func formatHash(h uint64) string {
	if h == 0 {
		return ""
	}
	return strconv.FormatUint(h, 16)
}

func parseHash(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	h, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0, invalidLine("body hash of a command", text, "it is not hexadecimal")
	}
	return h, nil
}
