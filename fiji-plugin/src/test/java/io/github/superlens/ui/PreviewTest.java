package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.util.Map;

import org.junit.jupiter.api.Test;

import io.github.superlens.engine.Json;
import io.github.superlens.engine.Protocol;

class PreviewTest {

	@Test
	void thePictureOfTheProtocolIsRead() {
		for (final Object event : Json.array(Json.parse(Protocol.text("progress.json")))) {
			final Map<String, Object> preview = Json.object(Json.object(Json.object(event).get("info")).get("preview"));
			if (preview.isEmpty()) continue;
			final BufferedImage picture = Preview.decoded(preview);
			assertArrayEquals(new byte[] { 0, 0, -1, -1 }, ((DataBufferByte) picture.getRaster().getDataBuffer()).getData());
			return;
		}
		throw new AssertionError("no preview among the events");
	}

	@Test
	void aPictureThatDoesNotFitItsSizeIsLeftOut() {
		assertNull(Preview.decoded(Json.object(Json.parse("{\"width\":3,\"height\":2,\"grey\":\"AAD//w==\"}"))));
		assertNull(Preview.decoded(Json.object(Json.parse("{}"))));
	}
}
