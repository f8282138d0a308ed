package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// subjectsIn returns the subjects that match a filter and that the stream's leader
// has messages on, in no order. It is all of them or an error: a watch of the
// client that is cut short may take a part for all.
func subjectsIn(ctx context.Context, conn *nats.Conn, k kept, filter string) (all []string, err error) {
	for {
		var page subjectPage
		request := fmt.Appendf(nil, `{"subjects_filter":%q,"offset":%d}`, filter, len(all))
		err := persistently(ctx, func(ctx context.Context) error {
			answer, err := conn.RequestWithContext(ctx, k.info, request)
			if err == nil {
				page, err = readSubjects(answer.Data)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for s := range page.State.Subjects {
			all = append(all, s)
		}
		if len(page.State.Subjects) == 0 || len(all) >= page.Total {
			return all, nil
		}
	}
}

// subjectPage is what one answer says: the server names 100,000 subjects at most.
type subjectPage struct {
	Error *apiError   `json:"error"`
	State streamState `json:"state"`
	Total int         `json:"total"`
}

func readSubjects(data []byte) (page subjectPage, err error) {
	if err := json.Unmarshal(data, &page); err != nil {
		return page, fmt.Errorf("unreadable answer: %w", err)
	}
	if page.Error != nil {
		return page, page.Error
	}
	return page, nil
}

// persistently repeats a request while nobody can answer it, within the patience of
// a read. The error is the last one's, or ctx's.
func persistently(ctx context.Context, ask func(context.Context) error) error {
	patience, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for try := 0; ; try++ {
		once, stop := context.WithTimeout(patience, requestWait)
		err := ask(once)
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var api *apiError
		passes := isTransient(err) || errors.As(err, &api) && isTransientCode(api.ErrCode)
		if !passes || pause(patience, try) != nil {
			return err
		}
	}
}
