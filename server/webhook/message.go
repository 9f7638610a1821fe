package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// Types of messages.
const (
	// TypeStatement is the type of a message about an event.
	TypeStatement = "avow.statement"
	// TypeTest is the type of a message that an operator sends to try an endpoint out. It has no data.
	TypeTest = "avow.test"
)

// Message is what is posted.
type Message struct {
	// ID is the webhook-id: the same for the same event, whenever and wherever it is sent.
	ID string
	// Body is the JSON document.
	Body []byte
}

// body is the form that the convention recommends.
type body struct {
	Type      string          `json:"type"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// newMessage makes the message of an event of the log with this origin: data is the StatementEvent in protobuf's JSON form.
func newMessage(origin string, e *avowv1.StatementEvent, now time.Time) (Message, error) {
	data, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(e)
	if err != nil {
		return Message{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n", origin, e.GetLogIndex(), e.GetStatementId()))
	return message("evt_"+hex.EncodeToString(sum[:16]), TypeStatement, data, now)
}

// NewTest makes a message that tries an endpoint out.
func NewTest(now time.Time) (Message, error) {
	return message(fmt.Sprintf("test_%d", now.UnixNano()), TypeTest, json.RawMessage("{}"), now)
}

func message(id, typ string, data json.RawMessage, now time.Time) (Message, error) {
	raw, err := json.Marshal(body{Type: typ, Timestamp: now.UTC().Format(time.RFC3339), Data: data})
	return Message{ID: id, Body: raw}, err
}

// sign is the value of webhook-signature: "v1," and the base64 of HMAC-SHA256 over id, time in seconds and body, with dots
// between them.
func sign(secret []byte, m *Message, at time.Time) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(m.ID + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	h.Write(m.Body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
