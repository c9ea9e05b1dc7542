package procstat

import "encoding/json"

// Value is a reading that may be unknown. The zero value is unknown. In JSON an unknown reading is
// null.
type Value[T any] struct {
	v     T
	known bool
}

// Known returns the known reading v.
func Known[T any](v T) Value[T] { return Value[T]{v: v, known: true} }

// Get returns the reading, and reports whether it is known. An unknown reading is the zero value of
// T.
func (v Value[T]) Get() (T, bool) { return v.v, v.known }

// Known reports whether the reading is known.
func (v Value[T]) Known() bool { return v.known }

// Or returns the reading, or other if it is unknown.
func (v Value[T]) Or(other T) T {
	if v.known {
		return v.v
	}

	return other
}

// MarshalJSON writes the reading as T does, or null.
func (v Value[T]) MarshalJSON() ([]byte, error) {
	if !v.known {
		return []byte("null"), nil
	}

	return json.Marshal(v.v)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*v = Value[T]{}
		return nil
	}

	var reading T
	if err := json.Unmarshal(data, &reading); err != nil {
		return err
	}

	*v = Known(reading)

	return nil
}
