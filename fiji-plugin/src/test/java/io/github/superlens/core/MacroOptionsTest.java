package io.github.superlens.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import ij.Macro;

class MacroOptionsTest {

	private static final String LETTERS = "ab Z9_=[]/\\.-\"\u00b5";

	@Test
	void whatIsWrittenReadsAsTheSame() {
		final Random random = new Random(1);
		for (int run = 0; run < 2000; run++) {
			final Map<String, String> values = new LinkedHashMap<>();
			for (int i = random.nextInt(5); i >= 0; i--) values.put("key" + i + "_x", balanced(random));
			assertEquals(values, MacroOptions.parse(MacroOptions.of(values).format()).values());
		}
	}

	@Test
	void imageJReadsTheSameValues() {
		final Map<String, String> values = new LinkedHashMap<>();
		values.put("model", "/data/my models/mt [2].zip");
		values.put("na", "1.3");
		values.put("preset", "fast");
		values.put("denoise_only", "true");
		final String text = MacroOptions.of(values).format();
		values.forEach((key, value) -> assertEquals(value, Macro.getValue(text, key, null)));
	}

	@ParameterizedTest
	@CsvSource({ "na=1.3,na,1.3", "na=[1.3],na,1.3", "NA=1.3,na,1.3", "model=[a b.zip],model,a b.zip", "model='a [b.zip',model,a [b.zip", "denoise_only,denoise_only,true",
		"denoise_only=[false],denoise_only,false", "a=[x[y]z],a,x[y]z", "a=b=c,a,b=c" })
	void aValueIsReadHoweverItIsWrapped(String text, String key, String value) {
		assertEquals(value, MacroOptions.parse(text).get(key));
	}

	@Test
	void aKeyIsNeverFoundInsideAnotherOrInsideAValue() {
		final MacroOptions options = MacroOptions.parse("patch_size=64 title=[size=7 and more] size=128 ");
		assertEquals("128", options.get("size"));
		assertEquals("64", options.get("patch_size"));
		assertNull(MacroOptions.parse("patch_size=64").get("size"));
	}

	@ParameterizedTest
	@ValueSource(strings = { "model=[a b", "model='a b", "model=[a[b]" })
	void whatIsNotClosedIsRefusedByKey(String text) {
		assertEquals("model", assertThrows(IllegalArgumentException.class, () -> MacroOptions.parse(text)).getMessage().split(" ")[0]);
	}

	@Test
	void nothingReadsAsNothing() {
		assertEquals(0, MacroOptions.parse(null).values().size());
		assertEquals(0, MacroOptions.parse("  ").values().size());
		assertEquals("", MacroOptions.parse("").format());
	}

	/** A value whose brackets balance, as those of all but very strange file names do. */
	private static String balanced(Random random) {
		while (true) {
			final StringBuilder text = new StringBuilder();
			int depth = 0;
			for (int i = random.nextInt(9); i > 0; i--) {
				final char c = LETTERS.charAt(random.nextInt(LETTERS.length()));
				if (c == ']' && depth == 0) continue;
				depth += c == '[' ? 1 : c == ']' ? -1 : 0;
				text.append(c);
			}
			if (depth == 0) return text.toString();
		}
	}
}
