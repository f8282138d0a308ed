package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	server "github.com/annals-go/annals/test/postgres"
)

const sample = `{"state":"accepted","amount":12000,"offers":[{"id":"1","amount":1,"term":36},{"id":"2","amount":2,"term":48}],"by":["e-1","e-2"]}`

func samples(n, round int) []projector.Document {
	docs := make([]projector.Document, n)
	for i := range docs {
		docs[i] = projector.Document{Key: fmt.Sprintf("key-%d", (i+round*n/2)%(4*max(n, 1))), Position: 1, Document: json.RawMessage(sample)}
	}
	return docs
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			v := viewOf(b, openWith(b, postgres.Config{URL: server.Shared(b).URL(), Namespace: namespace()}), projector.Layout{Model: totals})
			c := projector.Checkpoint{Worker: "0"}
			for round := 0; b.Loop(); round++ {
				c = write(b, v, c, samples(n, round)...)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	v := viewOf(b, openWith(b, postgres.Config{URL: server.Shared(b).URL(), Namespace: namespace()}), projector.Layout{Model: totals})
	docs := samples(1000, 0)
	c := write(b, v, projector.Checkpoint{Worker: "0"}, docs...)
	for _, n := range []int{1, 500} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = docs[i].Key
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if got, err := v.Get(context.Background(), keys, c); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
		})
	}
	b.Run("list-500", func(b *testing.B) {
		for b.Loop() {
			if got, _, err := v.List(context.Background(), "", 500, c); err != nil || len(got) != 500 {
				b.Fatal(len(got), err)
			}
		}
	})
}

// BenchmarkBulk compares two ways to store many documents: arrays as parameters
// of one statement, as Commit does it, and a copy into a table of the session
// from which a second statement takes them.
func BenchmarkBulk(b *testing.B) {
	const columns = `key text COLLATE "C", position bigint, revision bigint, document jsonb, exact bytea`
	const change = ` ON CONFLICT (key) DO UPDATE SET position = excluded.position, revision = excluded.revision, document = excluded.document, exact = excluded.exact`
	arrays := func(tx pgx.Tx, docs []projector.Document, round int) error {
		var keys, texts []string
		var positions, places []int64
		for i, d := range docs {
			keys, texts = append(keys, d.Key), append(texts, string(d.Document))
			positions, places = append(positions, int64(d.Position)), append(places, int64(i))
		}
		_, err := tx.Exec(b.Context(), `INSERT INTO bulk SELECT key, position, $1::bigint + place, document::jsonb, NULL
			FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS u (key, position, place, document)`+change,
			int64(round)<<14, keys, positions, places, texts)
		return err
	}
	staged := func(tx pgx.Tx, docs []projector.Document, round int) error {
		if _, err := tx.Exec(b.Context(), `CREATE TEMPORARY TABLE IF NOT EXISTS staging (`+columns+`) ON COMMIT DELETE ROWS`); err != nil {
			return err
		}
		rows := pgx.CopyFromSlice(len(docs), func(i int) ([]any, error) {
			return []any{docs[i].Key, int64(docs[i].Position), int64(round)<<14 + int64(i), string(docs[i].Document), nil}, nil
		})
		if _, err := tx.CopyFrom(b.Context(), pgx.Identifier{"staging"}, []string{"key", "position", "revision", "document", "exact"}, rows); err != nil {
			return err
		}
		_, err := tx.Exec(b.Context(), `INSERT INTO bulk SELECT * FROM staging`+change)
		return err
	}
	for _, way := range []struct {
		name  string
		store func(pgx.Tx, []projector.Document, int) error
	}{{"arrays", arrays}, {"staged", staged}} {
		for _, n := range []int{10, 100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", way.name, n), func(b *testing.B) {
				url, err := server.Shared(b).Database(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				conn := connect(b, url)
				if _, err := conn.Exec(b.Context(), `CREATE TABLE bulk (`+columns+`, PRIMARY KEY (key)); CREATE INDEX ON bulk (revision)`); err != nil {
					b.Fatal(err)
				}
				for round := 0; b.Loop(); round++ {
					tx, err := conn.Begin(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					if err := way.store(tx, samples(n, round), round); err != nil {
						b.Fatal(err)
					}
					if err := tx.Commit(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "documents/s")
			})
		}
	}
}
