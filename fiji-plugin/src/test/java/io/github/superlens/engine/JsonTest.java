package io.github.superlens.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {

	@Test
	void whatIsWrittenReadsAsTheSame() {
		final Map<String, Object> value = new LinkedHashMap<>();
		value.put("text", "quote \" backslash \\ line\n tab\t \u00b5m \ud83d\udd2c");
		value.put("numbers", Arrays.asList(1L, -7L, 0.1, 1e300, 123456789012345678L));
		value.put("words", Arrays.asList(true, false, null));
		value.put("empty", Arrays.asList(new LinkedHashMap<>(), Arrays.asList()));
		assertEquals(value, Json.parse(Json.write(value)));
	}

	@Test
	void whatIsWrittenIsAscii() {
		assertTrue(Json.write("\u00b5m \u20ac").chars().allMatch(c -> c < 128));
	}

	@Test
	void numbersThatJsonHasNoWordForBecomeNull() {
		assertEquals("[null,null,1.5]", Json.write(Arrays.asList(Double.NaN, Double.POSITIVE_INFINITY, 1.5)));
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "{", "[1,]", "{\"a\" 1}", "\"open", "[1] 2", "01x", "{'a':1}", "\"\\q\"", "tru", "\"\\u12\"" })
	void whatIsNoJsonIsRefused(String text) {
		assertThrows(IllegalArgumentException.class, () -> Json.parse(text));
	}
}
